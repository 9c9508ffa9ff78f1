#!/bin/sh
# Runs each fuzzer, or those that are named, for some minutes:
#     fuzz/run.sh MINUTES [FUZZER...]
# What they find new is kept below the target folder, and goes on from there the next time. An input
# that breaks a promise is in fuzz/artifacts, and ends it.
set -eu
VERSION=0.13.1
cd "$(dirname "$0")"
minutes=$1
shift
CARGO=${CARGO:-cargo}
here=$(cd .. && ${CARGO} metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
tools=$here/cargo-fuzz-$VERSION
if ! [ -x "$tools/bin/cargo-fuzz" ]; then
    CARGO_TARGET_DIR=$tools/build ${CARGO} install cargo-fuzz --version "$VERSION" --locked --root "$tools"
fi
# libFuzzer's instrumentation is not stable; there is no unsafe code here for a sanitizer to watch.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$here/fuzz"
[ $# -gt 0 ] || set -- $(ls fuzz_targets | sed 's/\.rs$//')
for fuzzer in "$@"; do
    found=$here/fuzz/corpus/$fuzzer
    mkdir -p "$found"
    "$tools/bin/cargo-fuzz" run --fuzz-dir . --sanitizer none "$fuzzer" "$found" "corpus/$fuzzer" -- \
        -dict=words.dict -max_len=16384 -timeout=20 -rss_limit_mb=4096 -max_total_time=$((minutes * 60)) \
        -print_final_stats=1
done
