#!/usr/bin/env bash
# What docs/cluster.md promises of one run on many processes, with Open MPI on this machine alone: the same bits on 1, 2 and 4
# processes; a process killed at any instant, one that hangs, a full disk, a signal: the run ends with an error that says
# what happened, loses nothing but the steps since its last checkpoint, and goes on with another number of processes to the
# same bits.
#
# usage: Tests/Cluster/mpi.sh [SCRATCH]     SCRATCH is where everything is made, emptied first
#        KILLS=50 Tests/Cluster/mpi.sh      so many kills in place of 4
#
# No privileges are needed besides those to install Open MPI. Without it this is skipped.
set -euo pipefail
case ${1:-/} in /*) ;; *) set -- "$PWD/$1" ;; esac
cd "$(dirname "$0")/../.."
programs=$PWD/.build/release kills=${KILLS:-4}

if ! command -v mpirun >/dev/null || ! command -v pgrep >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openmpi-bin procps; } >/dev/null 2>&1 || true
    fi
    for needed in mpirun pgrep; do
        command -v $needed >/dev/null || { echo "skipped: no $needed here (openmpi-bin, procps), and it could not be installed"; exit 0; }
    done
fi
version=$(mpirun --version 2>&1)
case $version in *"Open MPI"*) ;; *) echo "skipped: mpirun is not Open MPI's: $version"; exit 0 ;; esac
# Root may start it, ssh need not be there, and there may be fewer cores than processes.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_plm_rsh_agent=false
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
# The same to Open MPI 5.
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe PRTE_MCA_hwloc_default_binding_policy=none

made=
[ $# -gt 0 ] || made=$(mktemp -d)
scratch=${1:-$made}
rm -rf "$scratch"
mkdir -p "$scratch"
trap 'status=$?; umount "$scratch/full" 2>/dev/null || true
    [ $status = 0 ] && rm -rf ${made:+"$made"} || echo "everything is in $scratch"' EXIT
fail() {
    echo "failed: $1" >&2
    [ -z "${2:-}" ] || tail -n 20 "$2" >&2
    exit 1
}

# How each experiment is trained: small, with four shards, and a checkpoint every few steps.
characters=(char-hyperlstm sample-layer-norm-hyperlstm --set training.steps=60 --set training.checkpointEvery=7
    --set evaluation.validateAt=30 --set model.keepOutput=0.9 --set model.keepRecurrent=0.9)
images=(static-hypernet sample-cifar-hyper-wide-resnet --set training.steps=12 --set training.checkpointEvery=5
    --set evaluation.validateAt=12)

# train NAME PROCESSES PROGRAM CONFIGURATION OPTIONS…: begins or resumes $scratch/NAME.
train() {
    local name=$1 processes=$2 program=$3
    shift 3
    mpirun -n "$processes" "$programs/$program" train "$@" --set training.shards=4 --seed 0 --threads 1 \
        --out "$scratch/$name" --or-resume >>"$scratch/$name.log" 2>&1
}
# What must be the same: weights, moments and carried state of the last checkpoint, and all logged numbers but the seconds.
state() {
    local run
    run=$(echo "$scratch/$1"/*/0)
    for file in model optimizer carried; do sha256sum <"$(ls -d "$run"/checkpoints/step-* | tail -n 1)/$file.safetensors"; done
    sed -E 's/"seconds":[^,}]*,?//g' "$run/steps.jsonl"
}
expect_same() { diff <(state "$1") <(state "$2") >"$scratch/difference" || fail "$2 differs from $1" "$scratch/difference"; }

echo "-- the same bits on 1, 2 and 4 processes"
for model in characters images; do
    declare -n command=$model
    for processes in 1 2 4; do
        train "$model-$processes" $processes "${command[@]}" || fail "$model on $processes" "$scratch/$model-$processes.log"
        expect_same "$model-1" "$model-$processes"
    done
done

echo "-- $kills times a process killed"
killed=0
for ((n = 1; n <= kills; n++)); do
    name=killed-$n log=$scratch/killed-$n.log
    train "$name" 4 "${characters[@]}" &
    job=$!
    sleep "0.$((RANDOM % 1000))"
    sleep $((RANDOM % 3))
    # By their numbers: the processes that this mpirun started.
    launcher=$(pgrep -P $job || true)
    victims=()
    [ -z "$launcher" ] || victims=($(pgrep -P "$launcher" || true))
    [ ${#victims[@]} != 0 ] && kill -KILL "${victims[RANDOM % ${#victims[@]}]}" 2>/dev/null && killed=$((killed + 1))
    if wait $job; then
        : # it had ended before
    else
        grep -q -E 'rank [0-9]+ .*exited on signal 9|before completing MPI_INIT|Killed' "$log" || fail "no word of the death" "$log"
    fi
    processes=$((1 << RANDOM % 3))
    train "$name" $processes "${characters[@]}" || fail "not resumed on $processes" "$log"
    expect_same characters-1 "$name"
done
[ "$killed" != 0 ] || [ "$kills" = 0 ] || fail "no process was killed: each had ended before"

# hang NAME RANK SECONDS PROCESSES VARIABLE=VALUE…: of a run on two processes, process RANK is stopped after the first steps. The
# variables set the time limits; the other process must end with an error that names the limit (SECONDS, a pattern). Then
# PROCESSES processes finish the run.
hang() {
    local name=$1 rank=$2 seconds=$3 processes=$4 job log=$scratch/$1.log ranks status=0
    (export "${@:5}" && train "$name" 2 "${characters[@]}") &
    job=$!
    until grep -q 'step [2-9]' "$log" 2>/dev/null; do
        kill -0 $job 2>/dev/null || fail "ended by itself" "$log"
        sleep 0.05
    done
    ranks=($(pgrep -P "$(pgrep -P $job)"))
    kill -STOP "${ranks[rank]}"
    wait $job || status=$?
    kill -KILL "${ranks[rank]}" 2>/dev/null || true
    [ $status != 0 ] || fail "a process that hung was not noticed" "$log"
    grep -q "got no answer for $seconds s" "$log" || fail "no word of the hang" "$log"
    train "$name" "$processes" "${characters[@]}" || fail "not resumed on $processes" "$log"
    expect_same characters-1 "$name"
}

echo "-- a process that hangs"
hang hangs 1 3 4 HYPERNETWORKS_MPI_SECONDS=3

echo "-- the first process hangs, within a step or between two"
hang first-hangs 0 '[35]' 2 HYPERNETWORKS_MPI_SECONDS=3 HYPERNETWORKS_MPI_IDLE_SECONDS=5

echo "-- a signal to mpirun"
train signaled 2 "${characters[@]}" &
job=$!
until grep -q 'step [2-9]' "$scratch/signaled.log" 2>/dev/null; do
    kill -0 $job 2>/dev/null || fail "ended by itself" "$scratch/signaled.log"
    sleep 0.05
done
kill -USR1 "$(pgrep -P $job)"
status=0
wait $job || status=$?
[ $status = 138 ] || fail "status $status in place of 138" "$scratch/signaled.log"
grep -q 'with a checkpoint' "$scratch/signaled.log" || fail "no checkpoint" "$scratch/signaled.log"
train signaled 4 "${characters[@]}" || fail "not resumed" "$scratch/signaled.log"
expect_same characters-1 signaled

echo "-- a file system that is full for the first process"
mkdir "$scratch/full"
# Room for two checkpoints and a half: the first without it is the one after step 30, beside the latest and the best.
size=$(du -sk --apparent-size "$(ls -d "$scratch"/characters-1/*/0/checkpoints/step-* | tail -n 1)" | cut -f 1)
if mount -t tmpfs -o "size=$((size * 5 / 2))k" none "$scratch/full" 2>/dev/null; then
    status=0
    train full 4 "${characters[@]}" || status=$?
    [ $status != 0 ] || fail "a full disk went unnoticed" "$scratch/full.log"
    grep -q -i 'no space left' "$scratch/full.log" || fail "no word of the full disk" "$scratch/full.log"
    grep -q '"latest" : "step-00000[1-9]' "$scratch"/full/*/0/checkpoints/index.json || fail "no checkpoint survived" "$scratch/full.log"
    mount -o remount,size=64m "$scratch/full"
    train full 2 "${characters[@]}" || fail "not resumed on 2" "$scratch/full.log"
    expect_same characters-1 full
else
    echo "   skipped: no right to mount one"
fi

echo "-- processes that do not fit"
! mpirun -n 2 "$programs/char-hyperlstm" train sample-lstm --out "$scratch/unfit" >"$scratch/unfit.log" 2>&1 || fail "one shard on two"
grep -q 'set training.shards=2' "$scratch/unfit.log" || fail "no advice" "$scratch/unfit.log"
[ ! -e "$scratch/unfit" ] || fail "a folder was made" "$scratch/unfit.log"
! HYPERNETWORKS_MPI=/none/libmpi.so mpirun -n 2 "$programs/char-hyperlstm" train sample-lstm --out "$scratch/unfit" >"$scratch/unfit.log" 2>&1 ||
    fail "no MPI"
grep -q 'MPI cannot be loaded' "$scratch/unfit.log" || fail "no advice" "$scratch/unfit.log"
echo "all held"
