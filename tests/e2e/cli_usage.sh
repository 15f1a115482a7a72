#!/usr/bin/env bash
# cli_usage.sh PROGRAM ROOT [DATA] - commands, options, help, models by name, inspect, convert, devices, version.
# shellcheck disable=SC2016,SC2034   # conditions are expanded later; code belongs to cases.sh

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

for words in "" "--help" "-h" "help" "help translate" "translate --help" "translate -h" "score -h" "align -h" "inspect -h" \
    "convert -h" "devices -h" "version -h" "help -h"; do
    # shellcheck disable=SC2086
    try "help:${words// /_}" $words
    if [ -z "$words" ]; then
        expect_code 2
        expect_error 'command is missing'
    else
        expect_code 0
        expect_silent
        expect_match '^Usage: heddle'
    fi
done
for words in "-V" "--version" "version" "translate --version" "translate -V"; do
    # shellcheck disable=SC2086
    try "version:${words// /_}" $words
    expect_code 0
    expect_match '^heddle [0-9]+\.[0-9]+\.[0-9]+$'
    expect_lines 1
done
try licences version --licenses
expect_code 0
expect_match 'SentencePiece +Apache-2.0'
expect_match 'Jansson +MIT'

for command in "" translate score align inspect convert devices version help; do
    # shellcheck disable=SC2086
    try "man:${command:-heddle}" help --man $command
    expect_code 0
    expect_match '^\.Sh EXIT STATUS'
    if command -v mandoc >/dev/null; then
        mandoc -Tlint -Wwarning <"$out" >"$work/lint" || complain "mandoc: $(head -n 1 "$work/lint")"
    fi
done

while IFS='|' read -r label words message; do
    # shellcheck disable=SC2086
    try "wrong:$label" $words
    expect_code 2
    expect_error "$message"
    expect_lines 0
done <<'ROWS'
command|transalte|unknown command 'transalte'; did you mean 'translate'\?
strange-command|banana|unknown command 'banana'
option-first|--quiet translate|the command comes first
option|translate --bean 4|unknown option --bean; did you mean --beam\?
underscores|translate --lenght_penalty 4|unknown option --lenght_penalty; did you mean --length-penalty\?
one-dash|translate -beam 4|did you mean --beam\?
value-missing|translate --beam|option --beam needs a value
value-range|translate --beam 0|option --beam is a whole number from 1 to 64, not '0'
value-word|translate --stop never|option --stop is count\|bound\|all, not 'never'
under-quiet|translate --quiet --beam x|option --beam is a whole number
other-command|score --beam 4|option --beam does not belong to this command
needs-sample|translate --top-k 5|option --top-k needs --sample
needs-prefix|translate --prefix-bias 0.5|option --prefix-bias needs --prefix
sample-and-beam|translate --sample --beam 4|--sample and --beam 4 exclude each other
two-models|translate a b|'b' is too many
model-twice|translate a --model b|model is given twice
convert-one|convert a|convert needs IN OUTDIR
svg-and-not|align --svg x --no-svg a|exclude each other
ROWS

input 'Hello.\n'
cp "$given" "$work/notes.txt"
try text-file-as-model translate "$work/notes.txt"
expect_code 2
expect_error 'notes.txt is not a model; to translate a file use -i '
try no-such-model translate nowhere
expect_code 1
expect_error "no model 'nowhere' here, nor in "
try no-such-path translate "$work/nowhere"
expect_code 1
expect_error 'nowhere: No such file or directory'
mkdir "$work/empty"
try empty-directory translate "$work/empty"
expect_code 1
expect_error 'empty'
try no-cuda-library translate "$en_de" --device cuda
if [ "$code" != 0 ]; then
    expect_code 3
    expect_error 'cuda'
fi
try unknown-device translate "$en_de" --device warp9
expect_that '[ "$code" = 1 ] || [ "$code" = 2 ]'
expect_error 'warp9'
try more-hypotheses-than-beam translate "$en_de" --beam 2 --n-best 3
expect_code 2
expect_error '^heddle: option --n-best: 3, allowed 1 to 2'
try least-above-most translate "$en_de" --min-length 9 --max-length 3
expect_code 2
expect_error '^heddle: option --min-length: 9 is above --max-length 3$'
try length-above-positions translate "$en_de" --min-length 100000
expect_code 2
expect_error '^heddle: option --min-length: 100000'
try no-vocabulary-map translate "$en_de" --vocab-map
expect_code 2
expect_error '^heddle: option --vocab-map: the model has no vocabulary map'
try unknown-end-token translate "$en_de" --end-token "no such token"
expect_code 2
expect_error 'no such token'

# A prefix as an installed tree has it, and the source tree's own.
mkdir -p "$work/usr/bin" "$work/usr/share/heddle/models" "$work/tree/build"
cp "$program" "$work/usr/bin/heddle"
cp "$program" "$work/tree/build/heddle"
ln -s "$en_de" "$work/usr/share/heddle/models/en-de"
ln -s "$root/models" "$work/tree/models"
begin installed-default
"$work/usr/bin/heddle" translate <"$given" >"$out" 2>"$err"
code=$?
expect_code 0
expect_lines 1
begin installed-by-name
"$work/usr/bin/heddle" translate en-de <"$given" >"$out" 2>"$err"
code=$?
expect_code 0
begin source-tree-default
(cd / && "$work/tree/build/heddle" translate <"$given" >"$out" 2>"$err")
code=$?
expect_code 0
expect_lines 1

try inspect inspect "$en_de"
expect_code 0
expect_match '^Encoder layers +4$'
expect_match '^Tokenizer +sentencepiece$'
expect_match '^  --beam +4 +generation_config.json$'
expect_match '^  --patience +1 +heddle$'
try inspect-command-line inspect --model "$en_de" -b 7
expect_match '^  --beam +7 +command line$'
try inspect-f16 inspect "$en_de" --device cpu --compute f16
expect_code 2
expect_error 'option --compute: f16 on the device cpu, allowed there auto, f32, bf16, int8$'
try inspect-json inspect "$en_de" --json
expect_code 0
expect_match '"memory_bytes": [1-9][0-9]{5,}'
expect_match '"max_source_length": 64'
if command -v jq >/dev/null; then
    expect_that '[ "$(jq -r .defaults.beam.from "$out")" = generation_config.json ]'
fi
try devices devices
expect_code 0
expect_match '^cpu '
try devices-json devices --json
expect_match '^\{"name":"cpu","works":true,'

for model in "$en_de" "$aren"; do
    label=${model##*/}
    try "convert-$label" convert "$model" "$work/converted-$label"
    expect_code 0
    expect_silent
    expect_file "$work/converted-$label/model.safetensors"
done
input 'I have three cats.\nIt rains.\n'
try converted-original translate "$en_de" --json
cp "$out" "$work/original"
try converted-same translate "$work/converted-en-de" --json
expect_code 0
expect_that 'cmp -s "$work/original" "$out"'
try convert-into-full convert "$en_de" "$work/converted-en-de"
expect_code 1
expect_error 'converted-en-de'
finish
