#!/usr/bin/env bash
# cli_lines.sh PROGRAM ROOT [DATA] - every form of output, and lines of every kind: as many out as in, in order.
# shellcheck disable=SC2016,SC2034   # conditions are expanded later; code belongs to cases.sh

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

name_ar='آ ت ز م و ن'
aza_ar='آ ز ا'

input '%s\n\n%s\n' "$name_ar" "$aza_ar"
try tokens translate "$aren" --tokens --beam 2
expect_code 0
expect_silent
expect_out 'a t z m o n\n\na z z a\n'
try underscores-and-aliases translate "$aren" --tokens --beam_size=2 --max_decoding_length 2
expect_code 0
expect_out 'a t\n\na z\n'
try n-best translate "$aren" --tokens --beam 4 --n-best 4
expect_code 0
expect_lines 12
expect_match '^0 \|\|\| a t z m o n \|\|\| -[0-9.e-]+$'
expect_that '[ "$(grep -c "^1 |||  ||| 0$" "$out")" = 4 ]'
expect_that '[ "$(cut -d" " -f1 "$out" | uniq -c | tr -s " " | tr "\n" ",")" = " 4 0, 4 1, 4 2," ]'
try alignment-hard translate "$aren" --tokens --beam 2 --alignment hard
expect_code 0
expect_match '^a z z a \|\|\| [0-2]-0 [0-2]-1 [0-2]-2 [0-2]-3$'
expect_lines 3
try alignment-soft translate "$aren" --tokens --beam 2 --alignment soft
expect_match '^a z z a \|\|\| ([0-9.e-]+,[0-9.e-]+,[0-9.e-]+ ){3}[0-9.e-]+,[0-9.e-]+,[0-9.e-]+$'
try n-best-alignment translate "$aren" --tokens --beam 2 --n-best 2 --alignment hard
expect_match '^2 \|\|\| a z z a \|\|\| -[0-9.e-]+ \|\|\| [0-9 -]+$'
try json translate "$aren" --tokens --beam 2 --json
expect_code 0
expect_lines 3
expect_match '^\{"line":0,"source":"آ ت ز م و ن","source_tokens":\["آ",.*"hypotheses":\[\{"text":"a t z m o n","tokens":\["a","t","z","m","o","n"\]'
expect_match '^\{"line":1,"source":"","source_tokens":\[\],"hypotheses":\[\{"text":"","tokens":\[\],.*"pieces":[01]\}$'
if command -v jq >/dev/null; then
    expect_that '[ "$(jq -c ".hypotheses[0] | (.logprobs | length) - (.tokens | length)" "$out" | tr "\n" " ")" = "1 0 1 " ]'
    expect_that '[ "$(jq -r ".hypotheses[0].finished" "$out" | head -n 1)" = end ]'
    expect_that '[ "$(jq -c ".hypotheses[0].alignment | length" "$out" | tr "\n" " ")" = "6 0 4 " ]'
fi
try json-length translate "$aren" --tokens --json --max-length 2
expect_match '"finished":"length"'
try json-default-alignment translate "$aren" --tokens --json --beam 2 --n-best 2
expect_that '[ "$(grep -o "\"alignment\":\[" "$out" | wc -l)" = "$(grep -o "\"finished\":" "$out" | wc -l)" ]'
expect_match '"alignment":\[\[[0-9.e-]+,'
try json-no-alignment translate "$aren" --tokens --json --alignment none
expect_that '! grep -q alignment "$out"'
try json-alignment translate "$aren" --tokens --json --alignment hard
expect_match '"alignment":\[\[[0-9.e-]+,'
try end-token-kept translate "$aren" --tokens --beam 2 --with-end-token
expect_match '^a t z m o n </s>$'
try sample translate "$aren" --tokens --sample --n-best 3 --seed 5
expect_code 0
expect_lines 9
cp "$out" "$work/sampled"
try sample-again translate "$aren" --tokens --sample --n-best 3 --seed 5 --threads 1
expect_that 'cmp -s "$work/sampled" "$out"'
try alternatives translate "$aren" --tokens --alternatives --n-best 3
expect_code 0
expect_match '^0 \|\|\| a'
expect_match '^2 \|\|\| '

input '%s\n' "$name_ar"
printf 'a t s\n' >"$work/prefix"
try prefix translate "$aren" --tokens --beam 1 --prefix "$work/prefix"
expect_code 0
expect_out 'a t s u m o n\n'
printf 'o\n\nt  z m\n' >"$work/suppress"
try suppress translate "$aren" --tokens --beam 1 --suppress "$work/suppress"
expect_code 0
expect_out 'a t z u m u n\n'
printf '<unk> t\n' >"$work/prefix"
try replace-unknowns translate "$aren" --tokens --beam 1 --prefix "$work/prefix" --replace-unknowns
expect_code 0
expect_out 'ت t z m o n\n'
try cut translate "$aren" --tokens --max-source-length 3 --overflow cut
expect_code 0
expect_lines 1
expect_that 'grep -q "^heddle: warning: 1 lines were too long" "$err"'
try cut-quiet translate "$aren" --tokens --max-source-length 3 --quiet
expect_code 0
expect_silent
try too-long translate "$aren" --tokens --max-source-length 3 --overflow error
expect_code 1
expect_error 'standard input: line 1: '
try too-long-strict translate "$aren" --tokens --max-source-length 3 --strict
expect_code 1
expect_error 'line 1'

input 'آ ز ا\ta z z a\n\t\nآ ز ا\ta z a\n'
try score score "$aren" --tokens
expect_code 0
expect_lines 3
expect_that '[ "$(grep -c "^-[0-9.e-]*$" "$out")" -ge 2 ]'
try score-json score "$aren" --tokens --json
expect_code 0
expect_match '^\{"line":0,"tokens":\["a","z","z","a","</s>"\],"logprobs":\[.*\],"sum":-[0-9.e-]+,"score":-[0-9.e-]+,"perplexity":1\.[0-9]+\}$'
if command -v jq >/dev/null; then
    expect_that '[ "$(jq ".tokens | length == 5 and true" "$out" | head -n 1)" = true ]'
    expect_that '[ "$(head -n 1 "$out" | jq "(.logprobs | length) == 5 and ((.logprobs | add) - .sum | fabs) < 1e-5")" = true ]'
fi
input 'a\tb\nno tab here\n'
try score-without-tab score "$aren" --tokens
expect_code 1
expect_error 'standard input: line 2 has no tab'
expect_lines 1

# Text of a real model.
input 'Hello!\n\n \t \nGood morning.\r\nThe last line'
try text translate "$en_de"
expect_code 0
expect_silent
expect_lines 5
expect_that '[ "$(sed -n "2,3p" "$out" | tr -d "\n" | wc -c)" = 0 ]'
cp "$out" "$work/text"
try output-file translate "$en_de" -i "$given" -o "$work/file"
expect_code 0
expect_lines 0
expect_that 'cmp -s "$work/text" "$work/file"'
printf 'older and much longer text that has to go\n%.0s' 1 2 3 4 5 6 >"$work/file"
try output-replaced translate "$en_de" --input="$given" --output="$work/file" --stats "$work/stats"
expect_that 'cmp -s "$work/text" "$work/file"'
expect_that 'grep -q "\"lines\": 5" "$work/stats" && grep -q "\"allocations\": 0" "$work/stats"'
expect_that 'grep -q "\"peak_memory_bytes\": [1-9]" "$work/stats"'
try dashes translate "$en_de" -i - -o -
expect_that 'cmp -s "$work/text" "$out"'
try progress translate "$en_de" --progress
expect_code 0
expect_that 'grep -q "^heddle: 5 lines, [0-9]* lines/s" "$err"'

# Line feeds alone end lines; a mark at the start and one CR go; nothing is lost, NUL and invalid bytes are counted.
input '\357\273\277Hello.\r\nA\342\200\250B\302\205C\013D\014E\nA\0B\n\377\376 x\n\n\r\n\357\273\277Hello.'
try strange-lines translate "$en_de" --json
expect_code 0
expect_lines 7
expect_that '! sed -n 1p "$out" | grep -q "\"source\":\".*Hello.*r\""'
expect_that 'grep -q "^heddle: warning: [34] invalid or NUL bytes in 2 lines became U+FFFD; the first is line 3$" "$err"'
try strange-lines-strict translate "$en_de" --strict
expect_code 1
expect_error 'standard input: line 3: '
expect_lines 2
for bytes in '' '\n' 'x' '\n\n\n' '\357\273\277' '\r\n\r\n' '\0' '\377\n\377'; do
    input "$bytes"
    wanted=$(tail -c +"$( [ "${bytes:0:4}" = '\357' ] && echo 4 || echo 1)" "$given" | awk 'END { print NR }')
    try "count:$bytes" translate "$en_de" --quiet
    expect_code 0
    expect_lines "$wanted"
done
seq 1 2500 | sed 's/$/ cats./; 7~11s/.*//' >"$given"
try many-lines-in-order translate "$aren" --tokens --quiet --json
expect_code 0
expect_lines 2500
expect_that '[ "$(sed "s/^{\"line\":\([0-9]*\),.*/\1/" "$out" | cmp - <(seq 0 2499) && echo same)" = same ]'
head -c 200000 /dev/urandom >"$given"
wanted=$(awk 'END { print NR }' "$given")
try random-bytes translate "$aren" --tokens --quiet --beam 1 --max-length 4
expect_code 0
expect_lines "$wanted"

# Prefixes: as many as lines.
input 'One.\nTwo.\nThree.\n'
printf '\n\n' >"$work/few"
printf '\n\n\n\n' >"$work/many"
printf '\n\n\n' >"$work/enough"
try prefix-too-few translate "$en_de" --prefix "$work/few"
expect_code 1
expect_error 'few has fewer lines \(2\) than standard input'
expect_lines 2
try prefix-too-many translate "$en_de" --prefix "$work/many"
expect_code 1
expect_error 'many has more lines than standard input \(3\)'
expect_lines 3
try prefix-empty-lines translate "$en_de" --prefix "$work/enough"
expect_code 0
expect_lines 3
printf 'Die\n\n\n' >"$work/enough"
try prefix-text translate "$en_de" --prefix "$work/enough"
expect_match '^Die'

# Pictures.
cd "$work" || exit 1
input ''
try align align --model "$en_de" --svg "$work/map.svg" --color always "Good morning!"
expect_code 0
expect_match '^Good morning!$'
expect_match $'\x1b\\[48;5;'
expect_match "^Heat-map: $work/map.svg\$"
expect_that 'grep -q "</svg>" "$work/map.svg"'
try align-plain align --model "$en_de" --svg "$work/map.svg" "Good morning!"
expect_that '! grep -q "\[48;5" "$out"'
try align-default-name align --model "$en_de" "Good morning!"
expect_match '^Heat-map: heddle-alignment.svg$'
expect_file "$work/heddle-alignment.svg"
try align-no-svg align --model "$en_de" --no-svg "Good morning!"
expect_that '! grep -q Heat-map "$out"'
for map in cross encoder decoder; do
    try "align-$map" align --model "$en_de" --no-svg --map "$map" --layer 0 --head 1 "It rains."
    expect_code 0
    try "align-json-$map" align --model "$en_de" --json --map "$map" "It rains."
    expect_match '"values":\[\[[0-9.e-]+,'
done
try align-layer-range align --model "$en_de" --no-svg --layer 77 "It rains."
expect_code 2
expect_error '^heddle: option --layer: 77, allowed -1 to 1$'
input 'It rains.\n\nIt rains.\tEs regnet.\n'
try align-forced align --model "$en_de" --no-svg
expect_code 0
expect_match 'Es'
try align-over-input align --model "$en_de" -i "$given" --svg "$given"
expect_code 2
expect_error 'would overwrite'
finish
