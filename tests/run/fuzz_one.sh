#!/bin/sh
# fuzz_one.sh TARGET SECONDS RESULTS - fuzzes one target from its seeds; RESULTS/NAME.passed appears when nothing was found.
set -u
target=$1 seconds=$2 results=$3
name=$(basename "$target")
here=$(cd "$(dirname "$0")/../.." && pwd)
seeds=$here/tests/fuzz/seeds/${name#fuzz_}
corpus=$results/$name.corpus
mkdir -p "$corpus" || exit 1

set --
if [ -d "$seeds" ]; then set -- "$seeds"; fi
# A hostile length may ask for more than there is; the library must take the refusal, so malloc may give NULL.
ASAN_OPTIONS=allocator_may_return_null=1 "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3072 \
    -malloc_limit_mb=100000 -artifact_prefix="$results/$name." -print_final_stats=1 "$corpus" "$@" \
    >"$results/$name.log" 2>&1 </dev/null || exit 1
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$results/$name.log")
if [ "${runs:-0}" -lt 100 ]; then
    echo "$name: only ${runs:-0} runs" >>"$results/$name.log"
    exit 1
fi
echo "$name: $runs runs in $seconds s" >"$results/$name.passed"
