#!/usr/bin/env bash
# cli_simt_slow.sh PROGRAM ROOT [DATA] - the program on the stand-in for CUDA gives the words that it gives on the processor.
# shellcheck disable=SC2016,SC2034   # conditions are expanded later; code belongs to cases.sh

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

input '%s\n\n%s\n' 'آ ت ز م و ن' 'آ ز ا'
try devices devices
expect_code 0
expect_match '^simt '
if grep -q '^simt .*not usable' "$out"; then
    echo "skipped: $(grep '^simt' "$out")"
    finish
fi
try greedy translate "$aren" --tokens --beam 1 --device simt --compute f32 --max-rows 16
expect_code 0
expect_silent
expect_out 'a t z m o n\n\na z z a\n'
try beam translate "$aren" --tokens --beam 4 --device simt --compute f32 --max-rows 16
expect_code 0
expect_silent
expect_out 'a t z m o n\n\na z z a\n'
try auto-compute translate "$aren" --tokens --beam 2 --device simt --max-rows 16
expect_code 0
expect_out 'a t z m o n\n\na z z a\n'

# A launch that fails ends the line in words; what was queued before it is waited for before its memory goes.
export SIMT_FAIL=cudaGraphLaunch:999:1
try lost-launch translate "$aren" --tokens --device simt --max-rows 16
unset SIMT_FAIL
expect_code 1
expect_error 'replay: cudaErrorUnknown'
try refused-device translate "$aren" --device nonsense
expect_code 2
finish
