#!/usr/bin/env bash
# newstest_slow.sh PROGRAM ROOT [DATA] - the 3,004 lines of newstest2017 give the same output whatever the batch, the threads or the order.

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

text=${3:-}/text/newstest2017/newstest2017-ende.en
if [ -z "${3:-}" ] || [ ! -f "$text" ]; then
    echo "skipped: newstest2017 is not in the data folder"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

# int8 takes a quarter of the time of f32; test_invariance compares the bits of every compute type.
translate() { "$program" translate "$en_de" --beam 1 --compute int8 --quiet "$@" 2>"$err"; }

begin batch-tokens-64
translate --batch-tokens 64 --threads 1 -i "$text" -o "$work/first"
code=$?
expect_code 0
# shellcheck disable=SC2016
expect_that '[ "$(wc -l <"$work/first")" = 3004 ]'
same() {
    begin "$1"
    shift
    translate "$@" -i "$text" -o "$work/other"
    code=$?
    expect_code 0
    cmp -s "$work/first" "$work/other" || complain "output differs"
}
same batch-tokens-1024 --batch-tokens 1024 --threads 1
same batch-tokens-16384 --batch-tokens 16384 --threads 2
begin shuffled
seq 1 3004 | sort -R --random-source="$text" >"$work/order"
awk 'NR == FNR { line[NR] = $0; next } { print line[$1] }' "$text" "$work/order" >"$work/shuffled"
awk 'NR == FNR { line[NR] = $0; next } { print line[$1] }' "$work/first" "$work/order" >"$work/wanted"
translate --threads 2 -i "$work/shuffled" -o "$work/other"
code=$?
expect_code 0
cmp -s "$work/wanted" "$work/other" || complain "output differs"
finish
