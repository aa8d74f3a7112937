#!/usr/bin/env bash
# A Slurm cluster of this machine alone, and on it what docs/cluster.md promises: a job array of sample-lstm × 2 seeds,
# one run interrupted near its time limit, one canceled and one killed and both submitted again, in the end every weight, every logged
# step and every figure as in runs that nothing interrupted, bit by bit; a run that fails, which is not queued again; and one run on
# two processes, interrupted and queued again.
#
# usage: Tests/Cluster/slurm.sh [SCRATCH]     SCRATCH is where everything is made, emptied first
#        CONFIGURATIONS="sample-lstm sample-layer-norm-hyperlstm" Tests/Cluster/slurm.sh     both models of the sample
#
# No privileges are needed besides those to install Slurm. Without Slurm it is skipped.
set -euo pipefail
case ${1:-/} in /*) ;; *) set -- "$PWD/$1" ;; esac
cd "$(dirname "$0")/../.."
project=$PWD program=$PWD/.build/release/char-hyperlstm
configurations=(${CONFIGURATIONS:-sample-lstm})

PATH=$PATH:/usr/sbin
has_slurm() { for name in slurmctld slurmd sbatch squeue scontrol; do command -v $name >/dev/null || return 1; done; }
if ! has_slurm; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurmctld slurmd slurm-client slurm-wlm-basic-plugins \
            openmpi-bin libpmix-dev; } \
            >/dev/null 2>&1 || true
    fi
    has_slurm || { echo "skipped: no Slurm here, and none could be installed"; exit 0; }
fi

scratch=${1:-$(mktemp -d)}
rm -rf "$scratch"
mkdir -p "$scratch"/{state,spool}
out=$scratch/runs
# As many cores for Slurm as there are runs, whatever the machine has: none waits for another.
host=$(hostname -s) port=$((20000 + RANDOM % 20000)) cores=$((2 * ${#configurations[@]} + 1))

# Apart from any cluster that this machine belongs to: every name, port and folder is its own.
cat >"$scratch/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/none
CredType=cred/none
# Seconds that a job waits before it is begun again; Slurm's default is 120.
AuthInfo=cred_expire=5
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmdPidFile=$scratch/slurmd.pid
SlurmctldLogFile=$scratch/slurmctld.log
SlurmdLogFile=$scratch/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=20
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores SocketsPerBoard=1 CoresPerSocket=$cores ThreadsPerCore=1 \
    RealMemory=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
PartitionName=all Nodes=$host Default=YES MaxTime=60
CONF
export SLURM_CONF=$scratch/slurm.conf

daemons=()
end() {
    status=$?
    [ -z "${reference:-}" ] || kill "$reference" 2>/dev/null || true
    scancel --quiet --user "$(id -u)" 2>/dev/null || true
    for _ in {1..150}; do [ -n "$(queue 2>/dev/null)" ] || break; sleep 0.2; done
    # A slurmd that waits for its slurmctld hears nothing else.
    for signal in TERM KILL; do
        for process in "${daemons[@]}"; do kill -$signal "$process" 2>/dev/null || true; done
        sleep 2
    done
    if [ $status != 0 ]; then
        tail -n 30 "$scratch"/slurm*.log "$out"/slurm/*.out "$out"/*/*.log 2>/dev/null || true
        echo "everything is in $scratch"
    elif [ $# = 0 ]; then
        rm -rf "$scratch"
    fi
}
trap 'end "$@"' EXIT
slurmctld -D >/dev/null 2>&1 & daemons+=($!)
slurmd -D >/dev/null 2>&1 & daemons+=($!)

fail() { echo "error: $*" >&2; exit 1; }
# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "waited in vain for $what"
        sleep 0.2
    done
}
holds() { grep -q "$@"; }
is_idle() { sinfo --noheader --format=%T | holds idle; }
queue() { squeue --noheader --array --format='%i %T %j' "$@"; }
is_queued() { [ -n "$(queue --job="$1" 2>/dev/null)" ]; }
is_gone() { ! is_queued "$1"; }
logged_steps() { cat "$1/steps.jsonl" 2>/dev/null | wc -l; }
has_logged() { [ "$(logged_steps "$1")" -ge "$2" ]; }
record_has() { holds "$2" "$1/record.json"; }
# reproduce ARGUMENTS...: what a user calls; the array's number is in $array.
reproduce() {
    "$program" reproduce --profile sample "${configurations[@]}" --launcher slurm --out "$out" --cores 1 --time 1 \
        --memory 256M --sbatch --signal=B:USR1@45 "$@" >"$scratch/table" 2>"$scratch/said" || { cat "$scratch/said"; fail "reproduce"; }
    sed 's/^/  /' "$scratch/said"
    array=$(sed -n 's/.*as job array \([0-9]*\).*/\1/p' "$scratch/said")
}
await 60 "the cluster" is_idle
echo "a Slurm cluster of $cores cores ($(sinfo --version)), after $SECONDS s"

# The same runs without a cluster and without an interruption.
"$program" reproduce --profile sample "${configurations[@]}" --seeds 0,1 --jobs 2 --out "$scratch/unbroken" >/dev/null 2>&1 &
reference=$!

echo "-- ${configurations[*]}, seeds 0 and 1, limit 1 minute, USR1 45 seconds before"
reproduce --seeds 0,1
first=$array count=$((2 * ${#configurations[@]}))
holds "submitted $count of $count runs" "$scratch/said" || fail "expected $count runs submitted"
one=$out/${configurations[0]}/1 zero=$out/${configurations[0]}/0
await 300 "steps of seed 1" has_logged "$one" 5

echo "-- canceled: a checkpoint, and submitted again"
scancel "${first}_1"
await 60 "the end of ${first}_1" is_gone "${first}_1"
record_has "$one" '"status" : "interrupted"' || fail "$one: expected a run that was interrupted with a checkpoint"
reproduce --seeds 0,1
holds "submitted 1 of $count runs" "$scratch/said" || fail "expected the canceled run alone to be submitted"
second=$array
steps=$(logged_steps "$one")
await 600 "more steps" has_logged "$one" $((steps + 5))

echo "-- killed: as much as the last checkpoint has, and submitted again"
# As the system does where memory does not suffice; the lock names the process.
kill -KILL "$(sed -n 's/.*"process":\([0-9]*\).*/\1/p' "$one/lock")"
await 60 "the end of ${second}_0" is_gone "${second}_0"
record_has "$one" '"status" : "running"' || fail "$one: expected a run that was killed"
reproduce --seeds 0,1
holds "submitted 1 of $count runs" "$scratch/said" || fail "expected the killed run alone to be submitted"

echo "-- a run that fails"
mkdir -p "$out/${configurations[0]}/2"
echo '{' >"$out/${configurations[0]}/2/record.json"
"$program" reproduce --profile sample "${configurations[0]}" --seeds 2 --launcher slurm --out "$out" --cores 1 --time 1 --memory 256M \
    >/dev/null 2>"$scratch/said"
bad=$(sed -n 's/.*as job array \([0-9]*\).*/\1/p' "$scratch/said")

# Where a machine is so fast that the limit did not come in time.
is_interrupted_or_late() { holds "queued again" "$zero.log" || has_logged "$zero" 120; }
await 600 "the time limit of seed 0" is_interrupted_or_late
if ! holds "queued again" "$zero.log"; then
    echo "-- Slurm has not looked yet: the same signal by hand"
    scancel --batch --signal=USR1 "${first}_0"
    await 60 "the interruption of seed 0" holds "queued again" "$zero.log"
fi

is_empty() { [ -z "$(queue)" ]; }
await 3600 "an empty queue" is_empty
holds "an incomplete run" "$out/${configurations[0]}/2.log" || fail "expected the reason in the log of the run that fails"
holds "restart 1" "$out/${configurations[0]}/2.log" && fail "a run that fails was queued again"
scontrol show job "$bad" | holds "JobState=FAILED" || fail "expected job $bad to have failed"
rm -r "$out/${configurations[0]}/2"

reproduce --seeds 0,1
holds "nothing to submit" "$scratch/said" || fail "expected nothing to be left"
wait "$reference" || fail "the runs without a cluster"
reference=''
cat "$scratch/table"
cmp <("$program" compare "$out") <("$program" compare "$scratch/unbroken") || fail "compare: not the same table"

# Debian's plugin opens libpmix.so, which is part of libpmix-dev.
together=''
if command -v mpirun >/dev/null && srun --mpi=pmix --ntasks=2 true 2>/dev/null; then
    echo "-- one run on two processes (srun with PMIx)"
    together=$scratch/together/sample-lstm/0
    settings=(sample-lstm --set training.shards=2 --set training.steps=1000 --seed 0)
    sbatch --parsable --nodes=1 --ntasks-per-node=2 --cpus-per-task=1 --time=10 --output="$scratch/together.out" \
        cluster/processes.slurm "$program" "${settings[@]}" --out "$scratch/together" >"$scratch/said" || fail "sbatch"
    job=$(cat "$scratch/said")
    await 300 "steps of two processes" has_logged "$together" 5
    sleep 3
    # To the script alone, as Slurm does near the limit.
    scancel --batch --signal=USR1 "$job"
    await 60 "its interruption" holds "queued again" "$scratch/together.out"
    await 600 "an empty queue" is_empty
    record_has "$together" '"processes" : 2' || fail "$together: expected two processes in its record"
    "$program" train "${settings[@]}" --threads 1 --out "$scratch/alone" >/dev/null 2>&1 || fail "the run on one process"
else
    echo "-- one run on two processes: skipped, Slurm has no PMIx here"
fi

# Everything that lasts: weights, moments and carried state, all logged numbers but the seconds, and the figures.
lasting() {
    for which in latest best; do
        step=$(sed -n "s/.*\"$which\" : \"\(.*\)\".*/\1/p" "$1/checkpoints/index.json")
        (cd "$1/checkpoints/$step" && sha256sum model.safetensors optimizer.safetensors carried.safetensors)
    done
    sed -E 's/"seconds":[^,}]*//g' "$1/steps.jsonl"
    grep -E '"(bits|lossNats|predictions|selectedStep|stepsDone)"' "$1/record.json"
}
for configuration in "${configurations[@]}"; do
    for seed in 0 1; do
        run=$configuration/$seed
        cmp <(lasting "$out/$run") <(lasting "$scratch/unbroken/$run") || fail "$run: not the unbroken run"
        holds '; 1 thread (' "$out/$run.log" || fail "$run: expected as many threads as Slurm gave cores"
        echo "$run: the unbroken run bit by bit, in $(grep -c '"began"' "$out/$run/record.json") sittings," \
            "$(grep -c 'queued again at' "$out/$run.log") times queued again"
    done
done
if [ -n "$together" ]; then
    cmp <(lasting "$together") <(lasting "$scratch/alone/sample-lstm/0") || fail "two processes: not the run of one"
    echo "two processes: the run of one bit by bit, in $(grep -c '"began"' "$together/record.json") sittings"
fi
echo "passed in $SECONDS s"
