#!/usr/bin/env bash
# cli_failures.sh PROGRAM ROOT [DATA] - closed pipes, full disks, signals, stalled inputs, files that are each other.
# shellcheck disable=SC2016,SC2034   # conditions are expanded later; code belongs to cases.sh

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

seq 1 3000 >"$work/numbers"

begin closed-pipe
bash -c '"$1" translate "$2" --tokens --beam 1 --max-length 2 <"$3" 2>"$4"; echo $? >"$5"' - \
    "$program" "$aren" "$work/numbers" "$err" "$work/code" | head -n 1 >"$out"
code=$(cat "$work/code")
expect_code 1
expect_silent
begin closed-stdout
"$program" translate "$aren" --tokens <"$work/numbers" >&- 2>"$err"
code=$?
expect_code 1
expect_silent
begin closed-stdin
"$program" translate "$aren" --tokens <&- >"$out" 2>"$err"
code=$?
expect_code 1
expect_error 'cannot read standard input'
if [ -e /dev/full ]; then
    for words in "translate $aren --tokens --beam 1 --max-length 2" "help" "inspect $aren"; do
        begin "full-disk:${words%% *}"
        # shellcheck disable=SC2086
        "$program" $words <"$work/numbers" >/dev/full 2>"$err"
        code=$?
        expect_code 1
        expect_error 'cannot write standard output: No space left on device'
    done
    cp "$work/numbers" "$given"
    try full-disk:named translate "$aren" --tokens --beam 1 --max-length 2 -o /dev/full --quiet
    expect_code 1
    expect_error 'cannot write /dev/full: No space left'
    try full-disk:stats translate "$aren" --tokens --beam 1 --max-length 2 --stats /dev/full
    expect_code 1
    expect_error 'cannot write /dev/full'
fi

printf 'a\n' >"$given"
cp "$given" "$work/same"
ln "$work/same" "$work/hard-link"
ln -s same "$work/soft-link"
for other in same hard-link soft-link; do
    try "input-is-output:$other" translate "$aren" --tokens -i "$work/same" -o "$work/$other"
    expect_code 2
    expect_error 'input and output are the same file'
    expect_that 'cmp -s "$given" "$work/same"'
done
try prefix-is-output translate "$aren" --tokens --prefix "$work/same" -o "$work/same"
expect_code 2
expect_error 'prefixes and output are the same file'
try stats-is-input translate "$aren" --tokens -i "$work/same" --stats "$work/same"
expect_code 2
expect_error 'statistics would overwrite'
expect_that 'cmp -s "$given" "$work/same"'
try both-standard-input translate "$aren" --tokens --prefix -
expect_code 2
expect_error 'both standard input'
try null-device translate "$aren" --tokens -i /dev/null -o /dev/null
expect_code 0
expect_silent
try missing-input translate "$aren" --tokens -i "$work/nowhere"
expect_code 1
expect_error 'cannot open .*nowhere: No such file'
try directory-as-input translate "$aren" --tokens -i "$work"
expect_code 1
expect_error 'cannot read .*: Is a directory'
try missing-output-directory translate "$aren" --tokens -o "$work/no/where"
expect_code 1
expect_error 'cannot open .*where: No such file'
try endless-line translate "$aren" --tokens -i /dev/zero
expect_code 1
expect_error 'line 1 has more than'
head -c 100000 "$en_de/model.safetensors" >"$work/cut.safetensors"
mkdir "$work/broken"
cp "$en_de"/* "$work/broken"
cp "$work/cut.safetensors" "$work/broken/model.safetensors"
try truncated-model translate "$work/broken" --quiet
expect_code 1
expect_error 'model.safetensors'
expect_lines 0

# A line is written while the input stalls, and a signal lets finished lines out.
for signal in INT TERM; do
    begin "signal:$signal"
    mkfifo "$work/pipe-$signal"
    env --default-signal="$signal" "$program" translate "$aren" --tokens <"$work/pipe-$signal" >"$out" 2>"$err" &
    runs=$!
    exec 9>"$work/pipe-$signal"
    printf 'a\nb\n' >&9
    for _ in $(seq 100); do
        [ "$(wc -l <"$out")" -ge 2 ] && break
        sleep 0.05
    done
    expect_lines 2
    kill -s "$signal" "$runs"
    wait "$runs"
    code=$?
    exec 9>&-
    expect_code $((128 + $(kill -l "$signal")))
    expect_silent
done
begin ignored-interrupt
mkfifo "$work/pipe-ignored"
(
    trap '' INT
    exec "$program" translate "$aren" --tokens <"$work/pipe-ignored" >"$out" 2>"$err"
) &
runs=$!
exec 9>"$work/pipe-ignored"
printf 'a\n' >&9
sleep 0.5
kill -s INT "$runs"
sleep 0.2
printf 'b\n' >&9
exec 9>&-
wait "$runs"
code=$?
expect_code 0
expect_lines 2
if ! script -qec true /dev/null >/dev/null 2>&1; then
    echo "skipped: terminal-line-by-line: no script(1), or no terminals can be made here (/dev/pts)"
else
    begin terminal-line-by-line
    # What is typed later must not be needed for the answer to what was typed before.
    (printf 'Hello.\n'; sleep 3; printf '\004') |
        timeout 20 script -qec "\"$program\" translate \"$en_de\"" /dev/null >"$work/screen" 2>"$err" &
    runs=$!
    sleep 2.5
    expect_that '[ "$(tr -d "\r" <"$work/screen" | grep -vc "^Hello\.$\|^Type")" -ge 1 ]'
    wait "$runs"
fi
finish
