#!/usr/bin/env bash
# test.sh [--full] - builds everything and tests it; the last line is "N passed, N failed".
#
#   (nothing)   unit, golden and end-to-end tests of a release build
#   --full      also the slow ones, the installed tree, sanitizers, fuzzing, coverage and the rules of the house
#
# HEDDLE_TEST_DATA names a folder of models and text that are too large or not free enough to ship; tests that need it
# are skipped without it, and say so. Exit: 0 all passed; 1 something failed; 2 wrong usage; 3 a must-have is missing.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
# shellcheck source=scripts/test_parts.sh
. scripts/test_parts.sh

full=no
case ${1:-} in
    '') ;;
    --full) full=yes ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "test.sh: unknown argument '$1'; say --full or nothing" >&2; exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/counts" "$work/parts"

# Runs a part in a shell of its own. What it counts goes to $work/counts; a part that breaks off counts as one failure.
run_part() {
    local name=$1 rc began=$SECONDS failed_before failed_after
    shift
    echo "== $name"
    failed_before=$(awk '{ n += $2 } END { print n + 0 }' "$work/counts")
    (set -e; "$@")
    rc=$?
    failed_after=$(awk '{ n += $2 } END { print n + 0 }' "$work/counts")
    if [ $rc != 0 ] && [ "$failed_after" = "$failed_before" ]; then
        echo "$name: broke off with exit $rc"
        count 0 1 0
    fi
    printf '%6.1f min  %s\n' "$(awk -v s=$((SECONDS - began)) 'BEGIN { print s / 60 }')" "$name" >>"$work/parts"
    return $rc
}

# count PASSED FAILED SKIPPED
count() { echo "$1 $2 $3" >>"$work/counts"; }

finish() {
    local totals
    echo "== time"
    cat "$work/parts"
    echo "== skipped"
    cat "$work"/skips* 2>/dev/null || echo "nothing"
    totals=$(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$work/counts")
    read -r passed failed skipped <<<"$totals"
    echo "skipped: $skipped"
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ] && exit 0
    exit 1
}

HEDDLE_SAID_FILE=build/.said need_packages heddle tests || exit $?
if [ $full = yes ]; then HEDDLE_SAID_FILE=build/.said-full need_packages full || exit $?; fi

if ! run_part "build" part_build; then finish; fi
if [ $full = no ]; then
    run_part "tests" part_tests build "release" -LE slow
    finish
fi
run_part "tests" part_tests build "release"
run_part "lint of scripts and man pages" part_lint
run_part "headers alone" part_headers
run_part "exported symbols" part_symbols
run_part "installed tree" part_install
run_part "gpu dry run" part_gpu_dry_run
run_part "address and undefined behaviour sanitizers" part_sanitized asan address,undefined -DHEDDLE_WERROR=OFF
run_part "thread sanitizer" part_sanitized tsan thread -DHEDDLE_ONEDNN=OFF
run_part "fuzzing" part_fuzz
run_part "coverage" part_coverage
finish
