#!/usr/bin/env bash
# memory_slow.sh PROGRAM ROOT [DATA] - memory does not grow with the file.

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

peak() { awk -F'[:,]' '/peak_memory_bytes/ { print $2 + 0 }' "$work/stats"; }
translate() {
    yes 'آ ز ا' | head -n "$1" | "$program" translate "$aren" --tokens --beam 1 --threads 1 --stats "$work/stats" >"$out" 2>"$err"
    code=$?
}

# Above the window of lines in flight, so that both runs fill it.
begin short-file
translate 8000
expect_code 0
expect_lines 8000
short=$(peak)
begin long-file
translate 40000
expect_code 0
expect_lines 40000
long=$(peak)
begin growth-below-8-MB
[ "$((long - short))" -lt 8000000 ] || complain "peak $short bytes for 8,000 lines, $long for 40,000"
finish
