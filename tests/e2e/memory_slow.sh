#!/usr/bin/env bash
# memory_slow.sh PROGRAM ROOT [DATA] - memory does not grow with the file, and the shipped model keeps to what it was measured to need.

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

# A tenth above what bench/LOG.md has, libraries and tokenizer included.
holds() {   # THREADS COMPUTE BEAM MEGABYTES
    begin "shipped-$2-beam-$3-threads-$1"
    "$program" translate "$root/models/en-de" --threads "$1" --compute "$2" --beam "$3" --stats "$work/stats" \
        <"$root/tests/data/en-de/test.en" >"$out" 2>"$err"
    code=$?
    expect_code 0
    expect_lines 1000
    local bytes
    bytes=$(peak)
    [ "$bytes" -lt "$(($4 * 1000000))" ] || complain "peak $bytes bytes, allowed $4 MB"
}
holds 1 int8 1 37
holds 2 int8 1 48
holds 1 int8 4 35
holds 2 f32 1 83
finish
