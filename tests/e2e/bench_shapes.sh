#!/usr/bin/env bash
# bench_shapes.sh PROGRAM ROOT [DATA] - bench_translate on random weights: forced lengths, counts, and what it refuses.
set -uo pipefail
bench=$(dirname "$1")/bench/bench_translate
if [ ! -x "$bench" ]; then
    echo "skipped: bench_translate is not built here"
    echo "0 passed, 0 failed"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# has NAME FILE PATTERN
has() {
    if grep -qE -e "$3" "$2"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$1: no '$3' in: $(cat "$2")"; fi
}

# Target tokens without end token: 2 + 0 + 6, and three end tokens.
printf '%s\n' '3 2' '5 0' '4 6' >"$work/lengths"
"$bench" --quick --device cpu --shape tiny --lengths "$work/lengths" --beam 1,4 --compute f32 --threads 1 >"$work/out" 2>&1
has title "$work/out" '^tiny, 3 lines; one core'
has greedy "$work/out" '^f32 +beam 1, .* share .* tokens 11  rows 11  steps .* latency p50 [0-9.]+ p95 [0-9.]+ p99 '
has beam "$work/out" '^f32 +beam 4, .* tokens 11  rows '
"$bench" --quick --shape tiny --lines 2 --beam 1 --compute f32 --threads 1 >"$work/out" 2>&1
has lines "$work/out" ' tokens 52  rows 52  '
"$bench" --quick --shape tiny --beam 1 --compute f32 --threads 1 >"$work/out" 2>&1
has usual "$work/out" ' share +[0-9]+ %$'
"$bench" --quick --model "$2/tests/data/goldens/tiny-a" --lengths "$work/lengths" --beam 1 --compute f32 --threads 1 >"$work/out" 2>&1
has model "$work/out" ' tokens 11  rows 11  '
# One decoder layer: 12 kernels, and 6 around the layers; a step before which pages were taken has one more.
if [ -e "$(dirname "$1")/libheddle-simt.so" ]; then
    "$bench" --quick --device simt --shape tiny --lengths "$work/lengths" --beam 1,4 --max-rows 16 >"$work/out" 2>&1
    has limits "$work/out" '^f32 +limits: rows copied at [0-9.]+ GB/s, products at [0-9.]+ TFLOP/s'
    has simt "$work/out" '^f32 +beam 1, .* launches a step 1[89]\.[0-9] .* floor +[0-9.]+ s  share +[0-9]+ % .* tokens 11  rows 11  '
    has simt_beam "$work/out" '^f32 +beam 4, .* launches a step 1[89]\.[0-9] .* tokens 11  '
else
    echo "skipped: simt: the stand-in is not built here"
fi

# refuses WORDS... : the last word is the pattern of its line
refuses() {
    "$bench" "${@:1:$#-1}" >"$work/out" 2>&1 && echo accepted >"$work/out"
    has "${*:1:$#-1}" "$work/out" "${!#}"
}
refuses --device gpu "--device 'gpu', allowed cpu, cuda, cuda:N, cuda:N,N, cuda:all, simt"
refuses --shape huge "--shape 'huge', allowed tiny, small, base, big, deep"
refuses --beam 1,x "--beam '1,x', allowed at most 8 numbers from 1 to 64"
refuses --compute f3 "--compute 'f3', allowed f32, bf16, f16, int8"
refuses --max-rows 5000 "--max-rows '5000', allowed 1 to 4096"
refuses --lines 0 "--lines '0', allowed 1 to"
refuses --poisson -1 "--poisson '-1', allowed"
refuses --lengths x "--lengths 'x', allowed with --shape or --model only"
refuses --unheard 1 "unknown argument --unheard"
refuses --beam "--beam has no value"
echo '3 x' >"$work/lengths"
refuses --shape tiny --lengths "$work/lengths" "line 1: '3 x', allowed two counts"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
