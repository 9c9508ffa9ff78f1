#!/bin/sh
# Makes the inputs in fuzz/corpus those few that reach all that the fuzzers have reached so far, in short ones.
#     fuzz/minimize.sh [FUZZER...]
set -eu
cd "$(dirname "$0")"
MOST=48
here=$(cd .. && ${CARGO:-cargo} metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
programs=$here/fuzz/$(rustc --print host-tuple)/release
[ $# -gt 0 ] || set -- $(ls fuzz_targets | sed 's/\.rs$//')
for fuzzer in "$@"; do
    all=$here/fuzz/merged/$fuzzer
    rm -rf "$all"
    mkdir -p "$all" "$here/fuzz/corpus/$fuzzer"
    "$programs/$fuzzer" -set_cover_merge=1 -max_len=8192 "$all" "corpus/$fuzzer" "$here/fuzz/corpus/$fuzzer"
    # Those that somebody named stay.
    find "corpus/$fuzzer" -type f | grep -E '/[0-9a-f]{40}$|/seed-' | xargs -r rm
    ls -S "$all" | awk -v most=$MOST '{ all[NR] = $0 } END { step = NR > most ? NR / most : 1; for (i = 1; i <= NR; i += step) print all[int(i)] }' |
        while read -r input; do cp "$all/$input" "corpus/$fuzzer/$input"; done
done
