#!/bin/sh
# Writes the commit of a checkout, and whether the code there differs from it, as a Swift function; leaves the file alone
# where nothing has changed, so that nothing is compiled again.
#
# usage: write.sh PROJECT FILE
#
# Records, figures, measurements, results of the cross-check and documents do not count as code: the programs write them.
# A project inside another repository has no commit: that repository's is not its own.
project=$1 file=$2 commit=nil changed=nil reason=nil

ask() { LC_ALL=C git --no-optional-locks -C "$project" "$@" 2>/dev/null; }
real() { (cd "$1" && pwd -P); }

if ! command -v git >/dev/null; then
    reason='"no git where the program was built"'
elif ! top=$(ask rev-parse --show-toplevel); then
    case $(LC_ALL=C git -C "$project" rev-parse --show-toplevel 2>&1) in
    *"dubious ownership"*) reason='"git refuses a checkout of another owner: see safe.directory in `git help config`"' ;;
    *) reason='"the project was no git checkout where the program was built"' ;;
    esac
elif [ "$(real "$top")" != "$(real "$project")" ]; then
    reason='"the project lay in another repository where the program was built"'
elif ! head=$(ask rev-parse --verify HEAD); then
    reason='"the project had no commit where the program was built"'
else
    commit="\"$head\""
    if changes=$(ask status --porcelain -- . ':(exclude,glob)experiments/*/runs/**' \
        ':(exclude,glob)experiments/*/figures/**' ':(exclude,glob)experiments/*/cross-check/**' \
        ':(exclude)experiments/benchmarks/measured' ':(exclude)docs' ':(exclude)*.md'); then
        [ -n "$changes" ] && changed=true || changed=false
    fi
fi

found="// Written at every build by Plugins/WriteSourceCommit.
@inline(never) func found() -> (commit: String?, hasChanges: Bool?, unknownBecause: String?) {
    ($commit, $changed, $reason)
}"
[ "$(cat "$file" 2>/dev/null)" = "$found" ] || printf '%s\n' "$found" >"$file"
