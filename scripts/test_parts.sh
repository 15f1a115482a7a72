# shellcheck shell=bash
# test_parts.sh - the parts of scripts/test.sh, one function each. Sourced; they count through its count() and keep
# their notes in its folder $work.
: "${work:=}"

fuzz_seconds=240            # of wall clock, shared by all fuzz targets
coverage_percent=90         # lines of host/ that tests must reach
jobs=$(nproc)

# Our own compiler is the one whose warnings are known; a newer one's must not stop a newcomer.
werror_option() {
    if [ "$(cc -dumpversion | cut -d. -f1)" = 12 ]; then echo -DHEDDLE_WERROR=ON; else echo -DHEDDLE_WERROR=OFF; fi
}

part_build() { scripts/build.sh all "$(werror_option)" "-DHEDDLE_TEST_DATA=${HEDDLE_TEST_DATA:-}"; }

# part_tests FOLDER NAME [CTEST_OPTION...]: runs what is registered there, adds up what the programs counted.
part_tests() {
    local folder=$1 name=$2 rc=0 lost
    shift 2
    rm -rf "$folder/results"
    ctest --test-dir "$folder" -j "$jobs" --output-on-failure "$@" >"$work/ctest.log" 2>&1 || rc=$?
    # Test programs close with a line like ours; what ctest repeats of a failure is indented, so that ours stays the only one.
    if [ $rc != 0 ]; then sed 's/^/    /' "$work/ctest.log"; fi
    ls "$folder"/results/*.result >/dev/null || { echo "no test of $folder has run"; return 1; }
    cat "$folder"/results/*.result >"$work/results"
    awk -f tests/run/sum_results.awk "$work/results"
    # shellcheck disable=SC2046 # three numbers
    count $(awk -v total_only=1 -f tests/run/sum_results.awk "$work/results")
    sed "s/^/$name: /" "$folder"/results/*.skips >>"$work/skips-$name"
    # ctest ends a program that hangs, and then nobody has counted it.
    lost=$(grep -c '\*\*\*Timeout\|\*\*\*Not Run' "$work/ctest.log" || true)
    if [ "$lost" -gt 0 ]; then count 0 "$lost" 0; fi
    return $rc
}

# configure_and_build FOLDER TARGET [CMAKE_OPTION...]
configure_and_build() {
    local folder=$1 target=$2 generator="Unix Makefiles"
    shift 2
    if command -v ninja >/dev/null; then generator=Ninja; fi
    {
        cmake -S . -B "$folder" -G "$generator" "-DHEDDLE_TEST_DATA=${HEDDLE_TEST_DATA:-}" "$@" &&
            cmake --build "$folder" --parallel "$jobs" --target "$target"
    } >"$work/build.log" 2>&1 || { tail -n 100 "$work/build.log"; return 1; }
}

part_sanitized() {
    local name=$1 sanitizers=$2
    shift 2
    configure_and_build "build/$name" all "-DHEDDLE_SANITIZE=$sanitizers" "$@"
    part_tests "build/$name" "$name" -LE 'slow|static'
}

part_lint() {
    local file rc=0
    if command -v shellcheck >/dev/null; then
        for file in scripts/*.sh tests/*.sh tests/run/*.sh tests/e2e/*.sh .ci/run; do
            [ -e "$file" ] || continue
            if shellcheck -x "$file"; then count 1 0 0; else count 0 1 0; rc=1; fi
        done
    else
        echo "shellcheck is not installed" >"$work/skips-lint"
        count 0 0 1
    fi
    if command -v mandoc >/dev/null && ls build/man/*.1 >/dev/null 2>&1; then
        for file in build/man/*.1; do
            if mandoc -T lint -W warning "$file"; then count 1 0 0; else count 0 1 0; rc=1; fi
        done
    else
        echo "no mandoc, or no man pages" >>"$work/skips-lint"
        count 0 0 1
    fi
    return $rc
}

# run_counted NAME COMMAND...: a command that closes with "N passed, N failed".
run_counted() {
    local name=$1 rc=0 counts
    shift
    "$@" >"$work/output" 2>&1 || rc=$?
    counts=$(awk '/^[0-9]+ passed, [0-9]+ failed/ { print $1, $3 + 0 }' "$work/output" | tail -n 1)
    if [ $rc != 0 ]; then sed 's/^/    /' "$work/output"; fi
    if [ -z "$counts" ]; then
        echo "$name: no closing line"
        counts="0 1"
        rc=1
    fi
    # shellcheck disable=SC2086 # two numbers
    count $counts 0
    echo "$name: $counts"
    return $rc
}

# Every public header compiles alone, as C and as C++.
part_headers() {
    local header rc=0
    for header in $(cd include && find heddle -name '*.h' | sort); do
        if echo "#include <$header>" |
            cc -std=c17 -Wall -Wextra -Wpedantic -Wconversion -Werror -Iinclude -x c -fsyntax-only - &&
            echo "#include <$header>" |
            c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -x c++ -fsyntax-only -; then
            count 1 0 0
        else
            echo "$header does not compile alone"
            count 0 1 0
            rc=1
        fi
    done
    return $rc
}

# libheddle.so exports what the headers declare, and nothing else.
part_symbols() {
    local rc=0
    grep -rhoE 'HDL_API[^;(]*\bhdl_[a-z0-9_]+ *\(' include/heddle | grep -oE 'hdl_[a-z0-9_]+ *\($' | tr -d ' (' |
        sort -u >"$work/declared"
    nm -D --defined-only build/libheddle.so | awk '$2 != "A" { print $3 }' | sed 's/@.*//' | sort -u >"$work/exported"
    [ -s "$work/declared" ]
    [ -s "$work/exported" ]
    if ! comm -23 "$work/declared" "$work/exported" >"$work/absent" || [ -s "$work/absent" ]; then
        echo "declared with HDL_API but not exported:" && sed 's/^/    /' "$work/absent"
        rc=1
    fi
    if ! comm -13 "$work/declared" "$work/exported" >"$work/extra" || [ -s "$work/extra" ]; then
        echo "exported but declared in no header:" && sed 's/^/    /' "$work/extra"
        rc=1
    fi
    count "$(comm -12 "$work/declared" "$work/exported" | wc -l)" "$(cat "$work/absent" "$work/extra" | wc -l)" 0
    return $rc
}

part_install() { run_counted "installed tree" tests/run/installed_tree.sh build; }

# What a machine with a GPU would do, on the stand-in: the bundle from the libraries of build/, then its check.
part_gpu_dry_run() {
    local rc=0
    if [ ! -e build/libheddle-simt.so ]; then
        echo "gpu dry run: no build/libheddle-simt.so, which needs g++ and the CUDA toolkit's headers" |
            tee "$work/skips-gpu"
        count 0 0 1
        return 0
    fi
    scripts/gpu-bundle.sh --libraries build >"$work/build.log" 2>&1 || { tail -n 100 "$work/build.log"; return 1; }
    tail -n 1 "$work/build.log"
    run_counted "gpu dry run" build/gpu-bundle/gpu-check.sh --device simt --out "$work/gpu" --copy "$work/gpu-few" || rc=$?
    tar -tzf "$work/gpu-few/results.tar.gz" ./summary.txt >/dev/null || { echo "gpu dry run: --copy left no archive"; rc=1; }
    sed -nE 's/^([^ ]+) .* s  (not run: .*)/gpu dry run: \1: \2/p; s/^(not run: .*)/gpu dry run: \1/p' "$work/output" \
        >"$work/skips-gpu"
    count 0 0 "$(wc -l <"$work/skips-gpu")"
    return $rc
}

part_fuzz() {
    local target name n=0 rc=0 seconds
    configure_and_build build/fuzz heddle_fuzz -DHEDDLE_FUZZ=ON -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++
    for target in build/fuzz/tests/fuzz/fuzz_*; do [ -x "$target" ] && n=$((n + 1)); done
    [ $n -gt 0 ] || { echo "no fuzz target"; return 1; }
    seconds=$((fuzz_seconds / ((n + jobs - 1) / jobs)))
    printf '%s\n' build/fuzz/tests/fuzz/fuzz_* | xargs -P "$jobs" -I{} tests/run/fuzz_one.sh {} $seconds "$work/fuzz" ||
        rc=1
    for target in build/fuzz/tests/fuzz/fuzz_*; do
        name=$(basename "$target")
        if [ -f "$work/fuzz/$name.passed" ]; then
            count 1 0 0
            cat "$work/fuzz/$name.passed"
        else
            count 0 1 0
            rc=1
            tail -n 60 "$work/fuzz/$name.log" | sed 's/^/    /'
        fi
    done
    return $rc
}

part_coverage() {
    local rc=0
    configure_and_build build/cover all -DHEDDLE_COVERAGE=ON
    find build/cover -name '*.gcda' -delete
    # These repeat for many settings, and in numbers for whole models, what other tests reach once; counting lines makes
    # them minutes long.
    part_tests build/cover coverage -LE 'slow|static' -E '^test_(invariance|model_goldens)$' || rc=1
    gcovr -r . --object-directory build/cover -f 'host/' -j "$jobs" --exclude-throw-branches \
        --fail-under-line $coverage_percent --txt "$work/coverage.txt" --print-summary build/cover >"$work/summary" 2>&1 || {
        echo "less than $coverage_percent % of the lines of host/ are reached, or gcovr failed"
        cat "$work/coverage.txt" 2>/dev/null || true
        count 0 1 0
        rc=1
    }
    cat "$work/summary"
    [ $rc = 0 ] && count 1 0 0
    # Without cublasLt.h another file stands for the products of that library, and no test can reach their callers.
    if [ -e build/cover/CMakeFiles/simt_kernels.dir/kernels/gemm_library.cu.o ]; then
        run_counted "lines of kernels/" tests/run/kernel_lines.py build/cover/CMakeFiles/simt_kernels.dir || rc=1
        sed -n '/^kernels\/: /p' "$work/output"
    else
        echo "lines of kernels/: no stand-in with the headers of CUDA and cuBLASLt" | tee "$work/skips-kernels"
        count 0 0 1
    fi
    return $rc
}
