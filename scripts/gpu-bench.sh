# shellcheck shell=bash
# gpu-bench.sh - the part of gpu-check.sh that measures. Sourced; uses what that has: translate, limited, $out, $work, $device.
: "${out:=}" "${work:=}" "${device:=}" "${libraries:=}" "${overran:=no}" "${failed:=0}" "${computes:=f32}"
export passed note          # of an item; run_item reads them

# The shipped model through the program: a rate to hold against the last record's, start and text included.
measure_program() {
    local input=$1 compute=$2 beam=$3 file=$out/bench/$4
    shift 4
    translate "$input" "$work/output" "$@" --device "$device" --compute "$compute" --beam "$beam" --stats "$file.json"
    if [ "$overran" = yes ] || [ "$failed" -gt 0 ]; then rm -f "$file.json"; return; fi
    passed=1
    note="$(sed -n 's/.*"tokens_per_second": *\([0-9]*\).*/\1/p' "$file.json") tokens/s"
}

many_sentences() { for _ in 1 2 3 4 5 6 7 8; do cat tests/data/en-de/test.en; done; }

# measure_shape SHAPE OPTIONS...: random weights, newstest2017's lengths.
measure_shape() {
    local shape=$1 file=$out/bench/$1
    limited bench/bench_translate --device "$device" --shape "$shape" --beam 1,4 --compute bf16 \
        --lengths tests/data/newstest2017-lengths.txt "${@:2}" >"$file.txt" 2>"$work/error" && passed=1 && return
    rm -f "$file.txt"
    fail_item "$(tail -n 1 "$work/error")"
}

# measure_latency NAME SHAPE RATE OPTIONS...: seconds from submit to result, p50, p95 and p99, of sentences that are all there
# at the start, then of RATE a second at random (a Poisson stream).
measure_latency() {
    local file=$out/bench/$1 shape=$2 rate=$3 arrivals
    : >"$file.txt"
    for arrivals in "" "--poisson $rate"; do
        echo "# ${arrivals:-all at the start}" >>"$file.txt"
        # shellcheck disable=SC2086 # an option and its value
        limited bench/bench_translate --device "$device" --shape "$shape" --beam 4 --compute bf16 --quick $arrivals \
            --lengths tests/data/newstest2017-lengths.txt "${@:4}" >>"$file.txt" 2>"$work/error" || break
    done
    if [ "$overran" = no ] && [ "$(grep -c 'latency p50 [0-9.]* p95 [0-9.]* p99 [0-9.]* s' "$file.txt")" = 2 ]; then
        passed=1
        note="$(grep -o 'latency p50.* s' "$file.txt" | paste -s -d ';')"
        return
    fi
    rm -f "$file.txt"
    fail_item "no two lines of latencies: $(tail -n 1 "$work/error")"
}

# measure_ops SHAPE ROWS LINES: what each op of a step takes, by a trace of bench_translate; beside the paper's figures where
# there is a python3. A trace is 12 KB a step, before gzip.
measure_ops() {
    local shape=$1 rows=$2 lines=$3 file=$out/bench/ops-$1-$2 trace=$work/trace.json
    limited bench/bench_translate --device "$device" --shape "$shape" --beam 1 --compute bf16 --quick --max-rows "$rows" \
        --lengths tests/data/newstest2017-lengths.txt --lines "$lines" --trace "$trace" >"$work/output" 2>"$work/error" ||
        { fail_item "$(tail -n 1 "$work/error")"; return; }
    gzip -c "$trace" >"$out/traces/$shape-$rows.json.gz"
    if ! command -v python3 >/dev/null; then
        passed=1 note="no python3 for the table; the trace is traces/$shape-$rows.json.gz"
        return
    fi
    in_time python3 bench/trace_ops.py "$trace" >"$file.txt" 2>"$work/error" && passed=1 && return
    rm -f "$file.txt"
    fail_item "$(tail -n 1 "$work/error")"
}

# measure_products COMPUTE OPTIONS...: our products by shape, beside cuBLASLt's where that library can be had. The dry
# run names a double of it, which must be taken.
measure_products() {
    local file=$out/bench/products-$1.txt why
    limited bench/bench_gemm --device "$device" --products cublaslt "$@" >"$file" 2>"$work/error" && passed=1 && return
    why=$(tail -n 1 "$work/error")
    if [ "$overran" = no ] && [ "$device" = cuda ] && grep -qE 'cuBLASLt not found|without cublasLt\.h' <<<"$why" &&
        limited bench/bench_gemm --device "$device" --products own "$@" >"$file" 2>"$work/error"; then
        passed=1 note="ours alone: $why"
        return
    fi
    rm -f "$file"
    fail_item "$(tail -n 1 "$work/error")"
}

# transformers' generate beside us, on a part of the lengths: it is slower, and a part of this check has 3 minutes. Python
# has libraries of its own; ours are for what it calls.
measure_peer() {
    local file=$out/bench/peers-gpu why
    command -v python3 >/dev/null || { not_run "no python3 on the path"; return; }
    printf '#!/usr/bin/env bash\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$libraries" "$work/bench/bench_translate" \
        >"$work/bench/with_libraries"
    chmod +x "$work/bench/with_libraries"
    in_time python3 bench/peers_gpu.py --bench bench/with_libraries --lengths tests/data/newstest2017-lengths.txt \
        --lines 512 --batches 128,512 --runs 1 --out "$file.json" >"$file-lines.txt" 2>"$work/error" && passed=1 && return
    rm -f "$file-lines.txt" "$file.json"
    why=$(tail -n 1 "$work/error")
    case $why in
        "peers_gpu: not run: "*) not_run "${why#*not run: }" ;;
        *) fail_item "$why" ;;
    esac
}

part_bench() {
    if [ "$device" = simt ]; then
        item aren-v2 measure_program two_words f32 1 aren-v2 tests/data/ct2/aren-v2 --tokens
        item shape-tiny measure_shape tiny --quick --lines 3 --max-rows 16
        item latency-tiny measure_latency latency-tiny tiny 1000 --lines 2 --max-rows 8
        item ops-tiny-4 measure_ops tiny 4 4
        if [ -e tests/cublaslt/sound ]; then
            item products measure_products bf16 --quick --library-dir tests/cublaslt/sound
        else
            item products not_run "the bundle has no double of cuBLASLt"
        fi
        return
    fi
    item shape-base measure_shape base
    # 100 a second is far below what the device can do, so that none waits for rows; 1,000 of them take 10 s.
    item latency-base measure_latency latency-base base 100 --lines 1000
    # Sentences enough that a step is full for some time, and no more: a trace is some MB.
    item ops-base-1 measure_ops base 1 4
    item ops-base-64 measure_ops base 64 192
    item ops-base-512 measure_ops base 512 1024
    item ops-base-1024 measure_ops base 1024 2048
    item products measure_products bf16
    item peer-transformers measure_peer
    for compute in "${computes[@]}"; do
        for beam in 1 4; do
            item "en-de-$compute-$beam" measure_program many_sentences "$compute" $beam "en-de-$compute-$beam" models/en-de
        done
    done
    for shape in big deep; do item "shape-$shape" measure_shape $shape; done
}
