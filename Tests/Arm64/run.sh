#!/usr/bin/env bash
# Compiles the C sources for arm64 Linux and runs every portable kernel there, in an emulator, beside this machine's.
#
# usage: Tests/Arm64/run.sh [SCRATCH]     SCRATCH is where the programs are made
#
# Two builds. Without fused multiply-adds, which SSE2 lacks, both machines must give the same bits; ComputeTests hold those of
# this one to closed forms. As the package is built, arm64 fuses: each result may then differ by a few roundings. Skipped
# without an emulator or the C library's headers: apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
headers=/usr/aarch64-linux-gnu
for needed in clang qemu-aarch64; do
    command -v $needed >/dev/null || { echo "skipped: no $needed here"; exit 0; }
done
[ -e $headers/include/stdio.h ] || { echo "skipped: no $headers/include here"; exit 0; }
scratch=${1:-}
[ -n "$scratch" ] || { scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT; }
mkdir -p "$scratch"

flags=(-std=gnu11 -O2 -Wall -Wextra -Werror -I Sources/CKernels/include)
arm64=(--target=aarch64-linux-gnu) libraries=(-lpthread -lm)
sources=(Sources/CKernels/*.c Tests/Arm64/kernels.c)
here="$scratch/here" there="$scratch/there" shipped="$scratch/shipped"
clang "${flags[@]}" -ffp-contract=off "${sources[@]}" -o "$here" "${libraries[@]}"
clang "${flags[@]}" "${arm64[@]}" -ffp-contract=off "${sources[@]}" -o "$there" -fuse-ld=lld "${libraries[@]}"
clang "${flags[@]}" "${arm64[@]}" "${sources[@]}" -o "$shipped" -fuse-ld=lld "${libraries[@]}"
for loader in COpenBLAS CMPI; do
    for source in Sources/$loader/*.c; do
        clang "${flags[@]}" "${arm64[@]}" -I Sources/$loader/include -fsyntax-only "$source"
    done
done

"$here" write "$here.txt"
for build in "$there" "$shipped"; do qemu-aarch64 -L $headers "$build" write "$build.txt"; done
echo "without fused multiply-adds, every bit:"
"$here" compare "$here.txt" "$there.txt" 0
echo "as the package is built:"
"$here" compare "$here.txt" "$shipped.txt" 64
qemu-aarch64 -L $headers "$shipped" check
