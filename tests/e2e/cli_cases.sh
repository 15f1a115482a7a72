#!/usr/bin/env bash
# cli_cases.sh PROGRAM ROOT [DATA] - tests/data/ct2/cases.json through the program, for every case that has an option.
# shellcheck disable=SC2016,SC2034   # conditions are expanded later; code belongs to cases.sh

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

# The cases' own defaults; "normal" is the first, "short" the second source of the file.
normal='آ ت ز م و ن' short='آ ز ا'
aren() { try "$1" translate "$model" --tokens --length-penalty 1 --max-source-length 1024 --quiet "${@:2}"; }

for folder in aren-v2 aren-v2-i16; do
    model=$root/tests/data/ct2/$folder
    [ -d "$model" ] || continue
    for compute in auto f32 bf16 int8; do
        input '%s\n' "$normal"
        aren "$folder-variants-$compute" --beam 2 --compute "$compute"
        expect_code 0
        expect_out 'a t z m o n\n'
    done
    input '%s\n' "$normal"
    aren "$folder-variants-f16" --device cpu --compute f16
    expect_code 2
    expect_error 'option --compute: f16 on the device cpu, allowed there auto, f32, bf16, int8$'
    for beam in 1 2 4; do
        input '%s\n%s\n' "$short" "$normal"
        aren "$folder-batch-$beam" --beam "$beam"
        expect_out 'a z z a\na t z m o n\n'
        aren "$folder-attention-shape-$beam" --beam "$beam" --json --alignment soft
        if command -v jq >/dev/null; then
            expect_that '[ "$(jq -c ".hypotheses[0].alignment | [length, (.[0] | length)]" "$out" | tr -d "\n")" = "[4,3][6,6]" ]'
        fi
        input '%s\n' "$normal"
        aren "$folder-return-end-token-$beam" --beam "$beam" --with-end-token
        expect_out 'a t z m o n </s>\n'
        printf 'a t s\n' >"$work/prefix"
        aren "$folder-prefix-$beam" --beam "$beam" --prefix "$work/prefix"
        expect_out 'a t s u m o n\n'
        printf '<unk> t\n' >"$work/prefix"
        aren "$folder-replace-unknowns-$beam" --beam "$beam" --prefix "$work/prefix" --replace-unknowns
        expect_out 'ت t z m o n\n'
        printf 'o\nt z m\n' >"$work/suppress"
        aren "$folder-suppress-$beam" --beam "$beam" --suppress "$work/suppress"
        expect_out 'a t z u m u n\n'
        input 'ن ن ن ن ن\n'
        aren "$folder-repetition-penalty-$beam" --beam "$beam" --repetition-penalty 100
        expect_that '[ -z "$(tr " " "\n" <"$out" | sort | uniq -d)" ] && [ -s "$out" ]'
    done
    for beam in 1 4 22; do
        input '%s\n' "$normal"
        aren "$folder-n-best-$beam" --beam "$beam" --n-best "$beam" --json
        expect_code 0
        expect_that '[ "$(grep -o "\"finished\"" "$out" | wc -l)" = '"$beam"' ]'
    done
    input '\n%s\n\n%s\n\n' "$short" "$normal"
    aren "$folder-empty-sources" --beam 2
    expect_out '\na z z a\n\na t z m o n\n\n'
    input '%s\n' "$normal"
    aren "$folder-max-decoding-length" --beam 2 --max_decoding_length 2
    expect_out 'a t\n'
    aren "$folder-max-input-length" --beam 2 --split never --max_input_length 3 --overflow cut
    expect_that '[ "$(wc -w <"$out")" = 3 ]'
    input '%s\n%s\n%s\n\n%s\n' "$normal" "$normal" "$normal" "$short"
    printf 'a t s\n\na t z o\n\n\n' >"$work/prefix"
    aren "$folder-prefix-batch" --beam 2 --prefix "$work/prefix"
    expect_out 'a t s u m o n\na t z m o n\na t z o m o n\n\na z z a\n'
    input '%s\n' "$normal"
    printf 'a t\n' >"$work/prefix"
    aren "$folder-alternatives" --beam 2 --prefix "$work/prefix" --num_hypotheses 10 --return_alternatives
    expect_lines 10
    expect_that '[ "$(cut -d"|" -f4 "$out" | head -n 2 | tr -d " \n")" = atzmonatsumon ]'
done

if command -v jq >/dev/null; then
    # Published log-probabilities, and length penalties that differ by the divisor alone.
    input '%s\ta t z m o n\n\t\n' "$normal"
    try score score "$root/tests/data/ct2/aren-v2" --tokens --json --compute f32
    wanted='[-0.106023,-0.06541,-0.056002,-0.447953,-0.230714,-0.092184,-0.063463]'
    expect_that '[ "$(head -n 1 "$out" | jq "[.logprobs, '"$wanted"'] | transpose | map(.[0] - .[1] | fabs) | max < 1.1e-5")" = true ]'
    expect_that '[ "$(tail -n 1 "$out" | jq -c .logprobs)" = "[0.0]" ] || [ "$(tail -n 1 "$out" | jq -c .logprobs)" = "[0]" ]'
    model=$root/tests/data/ct2/aren-v2
    input '%s\n' "$normal"
    aren length-penalty-off --beam 4 --json --length_penalty 0
    off=$(jq '.hypotheses[0].score' "$out")
    aren length-penalty-on --beam 4 --json
    expect_that '[ "$(jq ".hypotheses[0].score * 7 - ('"$off"') | fabs < 1e-6" "$out")" = true ]'
fi
finish
