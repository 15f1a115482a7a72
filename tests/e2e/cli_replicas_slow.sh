#!/usr/bin/env bash
# cli_replicas_slow.sh PROGRAM ROOT [DATA] - --device with several devices of the stand-in for CUDA: the words of one, counts of each, a device
# that fails, lists that are wrong.
# shellcheck disable=SC2016,SC2034   # conditions are expanded later; code belongs to cases.sh

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

input '%s\n%s\n%s\n%s\n' 'آ ت ز م و ن' 'آ ز ا' 'آ ت ز م و ن' 'آ ز ا'
export SIMT_DEVICES=2

# What is wrong with a list is said before a model is packed.
try twice translate "$aren" --device simt:1,1
expect_code 2
expect_error 'device: "simt:1,1": simt:1 stands there twice'
try mixed translate "$aren" --device cpu,simt
expect_code 2
expect_error 'the cpu is one device with a lane per thread'
try empty-part translate "$aren" --device simt:0,
expect_code 2
expect_error 'the part behind a comma is empty'

try devices devices
expect_code 0
if grep -q '^simt .*not usable' "$out"; then
    echo "skipped: $(grep '^simt' "$out")"
    finish
fi
try absent translate "$aren" --device simt:0,2
expect_code 3
expect_error 'simt: device 2 was asked for, the driver sees 2, numbered from 0'

wanted='a t z m o n\na z z a\na t z m o n\na z z a\n'
try two translate "$aren" --tokens --beam 1 --device simt:0,1 --compute f32 --max-rows 4 --stats "$work/stats.json"
expect_code 0
expect_silent
expect_out "$wanted"
expect_that 'grep -q "\"name\": \"simt:0\"" "$work/stats.json" && grep -q "\"name\": \"simt:1\"" "$work/stats.json"'
expect_that '! grep -q "\"lost\": true" "$work/stats.json"'
try all translate "$aren" --tokens --beam 2 --device simt:all --max-rows 4
expect_code 0
expect_out "$wanted"

# One device fails: a warning tells of it, and the line that it held ends in words.
export SIMT_FAIL=kernel:719:2000
try lost-device translate "$aren" --tokens --beam 1 --device simt:0,1 --compute f32 --max-rows 4
unset SIMT_FAIL
expect_code 1
expect_that 'grep -q "^heddle: warning: simt:[01] has failed and takes no more work; other devices go on: .*cudaErrorLaunchFailure" "$err"'
expect_that 'grep -q "^heddle: standard input: line [1-4]: .*cudaErrorLaunchFailure" "$err"'
finish
