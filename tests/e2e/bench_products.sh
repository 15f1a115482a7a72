#!/usr/bin/env bash
# bench_products.sh PROGRAM ROOT [DATA] - bench_gemm --device on the stand-in, with doubles of cuBLASLt; --products of the program.
set -uo pipefail
build=$(dirname "$1") root=$2
bench=$build/bench/bench_gemm doubles=$build/tests/cublaslt
if [ ! -e "$build/libheddle-simt.so" ]; then
    echo "skipped: simt: the stand-in is not built here"
    echo "0 passed, 0 failed"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# has NAME PATTERN: in what the last call printed
has() {
    if grep -qE -e "$2" "$work/out"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$1: no '$2' in: $(cat "$work/out")"; fi
}

if [ -x "$bench" ] && [ -e "$doubles/sound" ]; then
    for compute in f32 bf16 f16; do
        "$bench" --device simt --products cublaslt --library-dir "$doubles/sound" --quick $compute >"$work/out" 2>&1
        has "both $compute" '; products: cuBLASLt 13\.0\.2$'
        has "both $compute" '^   40 x 24        5( +[0-9.]+){10}$'
    done
    "$bench" --device simt --products cublaslt --library-dir "$doubles/drifts" --quick >"$work/out" 2>&1
    has refused '^   40 x 24        5 +[0-9.]+ +[0-9.]+ +chunk '
    "$bench" --device simt --products cublaslt --library-dir "$doubles/breaks" --quick >"$work/out" 2>&1
    has broken '^bench_gemm: product: gemm: cuBLASLt 13\.0\.2: CUBLAS_STATUS_EXECUTION_FAILED, M = 5, N = 24, K = 40$'
    "$bench" --device simt --products cublaslt --library-dir "$root" --quick >"$work/out" 2>&1
    has missing '^bench_gemm: open: simt: cuBLASLt not found: .* looked for in '
    "$bench" --device simt --quick >"$work/out" 2>&1
    has ours '^   40 x 24        5( +[0-9.]+){4}$'
    "$bench" --device simt --fast >"$work/out" 2>&1
    has unknown "^bench_gemm: unknown argument '--fast'$"
else
    echo "skipped: bench_gemm or the doubles of cuBLASLt are not built here"
fi

echo hello | "$1" translate -m "$root/models/en-de" --device simt --products cublaslt >"$work/out" 2>&1
echo "exit $?" >>"$work/out"
has program '^heddle: simt: (cuBLASLt not found: |products: this library was built without cublasLt\.h$)'
has program '^exit [13]$'
echo hello | "$1" translate -m "$root/models/en-de" --device cpu --products cublaslt >"$work/out" 2>&1
has others '^Hallo'
echo "$passed passed, $failed failed"
[ $failed = 0 ]
