#!/usr/bin/env bash
# cli_trace.sh PROGRAM ROOT [DATA] - --trace: the same words as without, a file that is whole however the run ends, paths that are refused.
# shellcheck disable=SC2016,SC2034   # conditions are expanded later; code belongs to cases.sh

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

trace=$work/trace.json

# Begins and ends as a trace does; as many requests as said, each begun and ended. (test_trace parses such files.)
expect_trace() {
    [ "$(head -n 1 "$trace")" = '{"displayTimeUnit":"ms","traceEvents":[' ] || complain "the trace begins with $(head -c 80 "$trace")"
    [ "$(tail -n 1 "$trace")" = ']}' ] || complain "the trace ends with $(tail -c 80 "$trace")"
    local part
    for part in b e; do
        [ "$(grep -c "^{\"ph\":\"$part\",\"cat\":\"request\",\"name\":\"request\"" "$trace")" -eq "$1" ] ||
            complain "not $1 requests in the trace"
    done
}

seq 1 40 >"$given"
try plain translate "$aren" --tokens --beam 2 --max-length 8 --device cpu --compute f32
expect_code 0
cp "$out" "$work/plain"
try traced translate "$aren" --tokens --beam 2 --max-length 8 --device cpu --compute f32 --trace "$trace"
expect_code 0
expect_silent
expect_that 'cmp -s "$work/plain" "$out"'
expect_trace 40
expect_that 'grep -q "\"cat\":\"pass\",\"name\":\"step\"" "$trace"'
expect_that 'grep -q "\"line\":39,\"kind\":\"translate\"" "$trace"'
expect_that 'grep -q "\"name\":\"queue\"" "$trace"'

printf 'a\ta\nb\tb\n' >"$given"
try score score "$aren" --tokens --device cpu --trace "$trace"
expect_code 0
expect_lines 2
expect_trace 2
expect_that 'grep -q "\"cat\":\"pass\",\"name\":\"forced\"" "$trace"'

: >"$given"
try nothing-to-do translate "$aren" --tokens --device cpu --trace "$trace"
expect_code 0
expect_trace 0

seq 1 40 >"$given"
try missing-folder translate "$aren" --tokens --trace "$work/no/where"
expect_code 1
expect_error 'cannot open the trace .*where: No such file'
expect_lines 0
try folder translate "$aren" --tokens --trace "$work"
expect_code 1
expect_error 'cannot open the trace .*: Is a directory'
if [ -e /dev/full ]; then
    try full-disk translate "$aren" --tokens --trace /dev/full
    expect_code 1
    expect_error 'cannot write the trace /dev/full: No space left on device'
    expect_lines 0
fi
try standard-output translate "$aren" --tokens --trace -
expect_code 2
expect_error 'not to standard output'
try other-command align "$aren" --trace "$trace"
expect_code 2

# A disk that fills while it works: every line is there, the error at the end.
begin full-in-the-middle
(
    trap '' XFSZ
    ulimit -f 300
    exec "$program" translate "$aren" --tokens --beam 2 --device cpu --compute f32 --trace "$trace" --quiet <"$given" 2>"$err"
) | cat >"$out"
code=${PIPESTATUS[0]}
expect_code 1
expect_error 'cannot write the trace .*: File too large'
expect_lines 40
expect_that '[ "$(tail -n 1 "$trace")" = "]}" ]'

cp "$given" "$work/same"
ln "$work/same" "$work/hard-link"
ln -s same "$work/soft-link"
for other in same hard-link soft-link; do
    try "input:$other" translate "$aren" --tokens -i "$work/same" --trace "$work/$other"
    expect_code 2
    expect_error 'the trace would overwrite'
    try "suppress:$other" translate "$aren" --tokens --suppress "$work/same" --trace "$work/$other"
    expect_code 2
    expect_error 'the trace would overwrite'
    expect_that 'cmp -s "$given" "$work/same"'
done
for role in -o --stats --prefix; do
    try "same-as:$role" translate "$aren" --tokens "$role" "$work/same" --trace "$work/same"
    expect_code 2
    expect_error 'the trace would overwrite'
done

# What a model consists of is mapped while it is used: nothing may be written there.
cp -r "$aren" "$work/model"
for file in "$work"/model/*; do
    [ -s "$file" ] || continue
    for role in --trace -o --stats; do
        try "model:$role:${file##*/}" translate "$work/model" --tokens "$role" "$file"
        expect_code 2
        expect_error 'would overwrite .*, a file of the model'
        expect_that 'cmp -s "$file" "$aren/${file##*/}"'
    done
done
try model:new-file translate "$work/model" --tokens -o "$work/model/out"
expect_code 0
for file in "$work"/model/*.bin; do ln "$file" "$work/linked"; break; done
try model:linked-output translate "$work/model" --tokens -o "$work/linked"
expect_code 2
try model:beside translate "$work/model" --tokens -o "$work/model/out" --trace "$work/model/trace"
expect_code 0

try trace-into-the-output translate "$aren" --tokens --trace /dev/stdout
expect_code 2
expect_error 'the trace would overwrite /dev/stdout'

# A signal ends the run in order: what was done is told.
for signal in INT TERM; do
    begin "signal:$signal"
    mkfifo "$work/pipe-$signal"
    env --default-signal="$signal" "$program" translate "$aren" --tokens --trace "$trace" <"$work/pipe-$signal" >"$out" 2>"$err" &
    runs=$!
    exec 9>"$work/pipe-$signal"
    printf 'a\nb\n' >&9
    for _ in $(seq 100); do
        [ "$(wc -l <"$out")" -ge 2 ] && break
        sleep 0.05
    done
    kill -s "$signal" "$runs"
    wait "$runs"
    code=$?
    exec 9>&-
    expect_code $((128 + $(kill -l "$signal")))
    expect_silent
    expect_trace 2
done
begin killed
mkfifo "$work/pipe-killed"
"$program" translate "$aren" --tokens --trace "$trace" <"$work/pipe-killed" >"$out" 2>"$err" &
runs=$!
exec 9>"$work/pipe-killed"
printf 'a\n' >&9
for _ in $(seq 100); do
    [ -s "$out" ] && break
    sleep 0.05
done
kill -s KILL "$runs"
wait "$runs" 2>/dev/null
exec 9>&-
expect_that '[ "$(tail -n 1 "$trace")" = "]}" ]'
finish
