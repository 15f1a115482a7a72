#!/bin/sh
# run_one.sh KIND NAME RESULTS PROGRAM [ARGUMENT...] - runs one test program, counts, and judges it.
#
# KIND is criterion (its Synthesis line counts); any other: the program closes with "N passed, N failed".
# RESULTS/NAME.result gets "NAME PASSED FAILED SKIPPED SECONDS", RESULTS/NAME.skips the reasons. A program that crashes,
# counts nothing, or leaves a sanitizer report behind has failed, whatever it printed.
set -u
kind=$1 name=$2 results=$3
shift 3

mkdir -p "$results" || exit 1
log=$results/$name.log
rm -f "$results/$name".result "$results/$name".skips "$results/$name".sanitizer.*
# Leaks are found after a test has reported, so a report file is the only sign of them.
report=$results/$name.sanitizer
export ASAN_OPTIONS="log_path=$report:detect_leaks=1:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export TSAN_OPTIONS="log_path=$report:halt_on_error=0${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
export UBSAN_OPTIONS="log_path=$report:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"

began=$(date +%s.%N)
if [ "$kind" = criterion ]; then
    "$@" -j1 >"$log" 2>&1 </dev/null
else
    "$@" >"$log" 2>&1 </dev/null
fi
code=$?
seconds=$(echo "$began $(date +%s.%N)" | awk '{ printf "%.1f", $2 - $1 }')

if [ "$kind" = criterion ]; then
    counts=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '/Synthesis: Tested:/ {
        gsub(/\|/, ""); for (i = 1; i <= NF; i++) { if ($i == "Passing:") p = $(i + 1); if ($i == "Failing:") f = $(i + 1) }
    } END { if (p != "") print p + 0, f + 0 }')
else
    counts=$(awk '/^[0-9]+ passed, [0-9]+ failed/ { p = $1; f = $3; sub(/,/, "", f) } END { if (p != "") print p + 0, f + 0 }' "$log")
fi
passed=${counts% *} failed=${counts#* }
: "${passed:=0}" "${failed:=0}"
grep -h '^skipped: ' "$log" | sort | uniq -c | awk '{ n = $1; $1 = ""; sub(/^ /, ""); print n " x " $0 }' >"$results/$name.skips"
skipped=$(awk '{ n += $1 } END { print n + 0 }' "$results/$name.skips")

complain() {
    echo "$name: $1"
    failed=$((failed + 1))
}
[ -n "$counts" ] || complain "no closing line: it crashed (exit $code)"
[ -z "$counts" ] || [ $((passed + failed + skipped)) -gt 0 ] || complain "no test was run"
[ "$code" = 0 ] || [ "$failed" -gt 0 ] || complain "exit $code though no test failed"
for file in "$report".*; do
    [ -e "$file" ] || continue
    complain "sanitizer report"
    head -n 60 "$file"
    break
done

echo "$name $passed $failed $skipped $seconds" >"$results/$name.result"
if [ "$failed" -gt 0 ]; then
    tail -n 200 "$log" | sed 's/^/    /'
    echo "$name failed; all it said is in $log"
    exit 1
fi
