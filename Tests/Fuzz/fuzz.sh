#!/usr/bin/env bash
# Builds the fuzzer, makes its first inputs from the committed files, and runs it for SECONDS (default 60).
# usage: Tests/Fuzz/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=.build/fuzz
mkdir -p "$work/seeds" "$work/corpus"

# kind FILE: a first byte that chooses the reader (the order of `Kind` in Fuzz.swift), then the file.
seed() { { printf "\\x0$1"; head -c 20000 "$2"; } >"$work/seeds/$1-$(basename "$2")"; }
for file in data/sample/sample.test.txt.gz data/sample/mnist/t10k-labels-idx1-ubyte.gz; do seed 0 "$file"; done
gzip -dc data/sample/cifar-10-binary.tar.gz >"$work/sample.tar"
seed 1 "$work/sample.tar"
if command -v python3 >/dev/null; then
    python3 - "$work/sample.zip" <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive: archive.writestr("text8", "some text " * 50)
PYTHON
    seed 2 "$work/sample.zip"
else
    echo "no python3 here: the first inputs have no zip archive"
fi
gzip -dc data/sample/mnist/t10k-images-idx3-ubyte.gz >"$work/images-idx3"
seed 3 "$work/images-idx3"
for file in Tests/SafetensorsTests/Fixtures/*.safetensors; do seed 4 "$file"; done

swiftc -O -sanitize=fuzzer,address -parse-as-library -package-name fuzz -module-name Fuzz \
    -Xcc -fmodule-map-file=Sources/CZlib/module.modulemap -I Sources/CZlib \
    Sources/Datasets/*.swift Sources/Safetensors/*.swift Tests/Fuzz/Fuzz.swift -lz -o "$work/fuzz"
# The file that the readers read: in memory where the system has a folder there.
folder=$(mktemp -d /dev/shm/hypernetworks-fuzz.XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$folder"' EXIT
export HYPERNETWORKS_FUZZ_FILE="$folder/file"
"$work/fuzz" -max_total_time="${1:-60}" -timeout=10 -rss_limit_mb=1024 -max_len=20000 \
    -artifact_prefix="$work/" "$work/corpus" "$work/seeds"
