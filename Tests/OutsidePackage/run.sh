#!/usr/bin/env bash
# Builds and runs a small package that depends on this one by a tagged git address, as another Swift package would.
#
# usage: Tests/OutsidePackage/run.sh [SCRATCH]     SCRATCH is where everything is made, emptied first
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) project=$(cd "$(dirname "$0")/../.." && pwd)
version=$(sed -n 's/.*static let version = "\([0-9.]*\)".*/\1/p' "$project"/Sources/ExperimentKit/Records/Software.swift)
scratch=${1:-}
[ -n "$scratch" ] || { scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT; }
found=$(LC_ALL=C git -C "$project" rev-parse --git-dir 2>&1) || case $found in
*"dubious ownership"*) echo "$found" >&2; exit 1 ;;
*) echo "no git repository here: the outside package is not built"; exit 0 ;;
esac

# A repository with the files as they are now, under the version's tag.
rm -rf "$scratch"
mkdir -p "$scratch/hypernetworks"
scratch=$(cd "$scratch" && pwd)
git -C "$project" ls-files -z --cached --others --exclude-standard |
    (cd "$project" && { xargs -0 ls -d 2>/dev/null || true; } | grep -v -e /runs/ -e /figures/ | tar -cf - -T -) | tar -xf - -C "$scratch/hypernetworks"
cd "$scratch/hypernetworks"
git init -q .
git add -A
git -c user.name=test -c user.email=test@example.org -c commit.gpgsign=false commit -qm "The package as it is"
git -c tag.gpgsign=false tag "$version"

mkdir "$scratch/package"
cp -R "$here/Package.swift" "$here/Sources" "$scratch/package"
cd "$scratch/package"
sed -i.bak "s|@URL@|file://$scratch/hypernetworks|; s|@VERSION@|$version|" Package.swift && rm Package.swift.bak
swift build --cache-path "$scratch/cache" --security-path "$scratch/security" --config-path "$scratch/config" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    exit 1
}
.build/debug/example
