#!/usr/bin/env bash
# gpu-check.sh [--part ops|road|bench|sanitize] [--device cuda|simt] [--out DIR] [--copy DIR] [--seconds N] - checks and
# measures the CUDA backend, from the bundle that gpu-bundle.sh made, and from nothing else; the last line is
# "N passed, N failed".
#
#   --part PART     one part; default: all, one after another. A part ends within 3 minutes; what had no time is named,
#                   and the same call goes on there
#   --seconds N     all of it ends within N seconds, at least 30; default: no limit but the parts' own
#   --device cuda   ops on the GPU, compute-sanitizer, translations equal to the CPU's, speed (the default)
#   --device simt   the dry run, on the CPU stand-in: a few small op tests and aren-v2 alone; nothing it measures counts
#   --out DIR       markers, logs, DATE-GPU.json (a record for bench/results/) and summary.txt; default: out-DEVICE.
#                   An item whose marker in DIR/done is removed runs again
#   --copy DIR      after each part: summary.txt, the record and all of --out as results.tar.gz, for a machine that gives
#                   few files back and keeps none. Unpacked into --out, the archive lets the same call go on there
#
# Exit: 0 all passed; 1 something failed; 2 wrong usage; 3 the device is not usable; 4 unfinished: call again.
#
# Not yet tried, for want of a GPU: what only `--device cuda` does (nvidia-smi, compute-sanitizer, en-de, base shapes,
# python3). The dry run shares all the rest with it.
set -uo pipefail
bundle=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LC_ALL=C

device=cuda out='' copy='' seconds='' parts=(ops road bench sanitize)
while [ $# -gt 0 ]; do
    case "$1 ${2:-}" in
        "--part ops" | "--part sanitize" | "--part road" | "--part bench") parts=("$2") ;;
        "--device cuda" | "--device simt") device=$2 ;;
        "--out "?*) out=$2 ;;
        "--copy "?*) copy=$2 ;;
        "--seconds "[1-9]*)
            [[ $2 =~ ^[0-9]{2,6}$ && $2 -ge 30 ]] || { echo "gpu-check.sh: --seconds '$2', allowed 30 to 999999" >&2; exit 2; }
            seconds=$2 ;;
        -h* | --help*) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "gpu-check.sh: '$1 ${2:-}' is not known; --help tells what is" >&2; exit 2 ;;
    esac
    shift 2
done
packed=$(find "$bundle" -maxdepth 1 -name 'programs.tar.*' | head -n 1)
[ -n "$packed" ] || { echo "gpu-check.sh: no bundle here: run gpu-bundle.sh, then its copy" >&2; exit 2; }
: "${out:=out-$device}"
# Its archive would hold itself.
if [ -n "$copy" ] && [[ $(realpath -m -- "$copy")/ == "$(realpath -m -- "$out")"/* ]]; then
    echo "gpu-check.sh: --copy '$copy' lies in --out '$out', allowed a folder outside it" >&2
    exit 2
fi
mkdir -p "$out"/{done,late-once,logs,bench,results,traces} ${copy:+"$copy"} || exit 2
out=$(cd "$out" && pwd)
[ -z "$copy" ] || copy=$(cd "$copy" && pwd)
# shellcheck source=scripts/gpu-record.sh
. "$bundle/gpu-record.sh"

# ---- the bundle as a working folder ----------------------------------------------------------------------------------

commit=$(cat "$bundle/commit")
[ -e "$out/commit" ] || echo "$device, $commit" >"$out/commit"
if [ "$(cat "$out/commit")" != "$device, $commit" ]; then
    echo "gpu-check.sh: $out holds results of $(cat "$out/commit"), this is $device, $commit: name another folder" >&2
    exit 2
fi
# Test programs find all by names relative to this folder, and no backend but the chosen one, so that only its worlds and
# the CPU's run.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [[ $packed != *.xz ]] || command -v xz >/dev/null; then
    tar -xf "$packed" -C "$work" --no-same-owner || exit 1
else
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$packed" "$work" || exit 1
fi
cd "$work" || exit 1
ln -s "$bundle/models" models
ln -s "$bundle/tests/data" tests/data
mkdir backends
ln -s "../libheddle-$device.so" backends

# For our own programs alone: `limited` sets it. The caller's places follow: they may be where the driver is.
places=${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} libraries=$work/lib
LD_LIBRARY_PATH=$libraries$places ./heddle version >/dev/null 2>&1 || libraries+=:$work/lib/spare
libraries+=$places
if [ "$device" = cuda ]; then libraries+=$(python_cublaslt); fi
LD_LIBRARY_PATH=$libraries timeout -k $kill_seconds $ask_seconds ./heddle devices >"$out/logs/devices" 2>&1
describe_machine >"$out/logs/machine" 2>&1
device_line=$(grep -E "^${device}[: ]" "$out/logs/devices" | head -n 1)
case $device_line in
    '' | *'not usable'*)
        echo "not run: ${device_line:-$device: heddle devices does not name it}"
        cat "$out/logs/devices" "$out/logs/machine"
        copy_results
        echo "0 passed, 0 failed"
        exit 3 ;;
esac
look_at_machine
echo "$device_line"

# ---- ops -------------------------------------------------------------------------------------------------------------

# Those that end in _slow are tests of the whole road.
mapfile -t programs < <(grep -v '_slow$' "$bundle/test-programs")
mapfile -t roads < <(grep '_slow$' "$bundle/test-programs")
# The stand-in is thousands of times slower than a GPU: programs that it ends in seconds.
if [ "$device" = simt ]; then programs=(test_norm test_embed test_cache test_token_logprobs); fi

# On a GPU a test that hangs ends alone, and the others of its program go on. The option shortens limits that tests have;
# to a test without one it gives none.
each_test=()
if [ "$device" = cuda ]; then each_test=(--timeout 40); fi

# failed_tests LOG: the first few, by name.
failed_tests() { sed 's/\x1b\[[0-9;]*m//g' "$out/$1" | grep -oE '\[FAIL\] [a-z0-9_:]+[a-z0-9_](: CRASH)?' | head -n 6 | tr '\n' ' '; }

# A process that ran each test was forked for it, so each has a context of its own; run_one.sh runs one at a time.
# ran_on_device LINE LOG: what ran on the device has printed a line that fits the pattern LINE.
ran_on_device() { grep -qE "$1" "$out/$2" || fail_item "nothing ran on $device"; }

# check_program LINE PROGRAM [ARGUMENT...]
check_program() {
    local line=$1 program=$2 log=results/$2.log
    shift 2
    limited tests/run/run_one.sh criterion "$program" "$out/results" "tests/$program" "${each_test[@]}" "$@" \
        >"$out/logs/$part.$program" 2>&1
    [ $overran = no ] || return
    read -r _ passed failed skipped _ <"$out/results/$program.result" || fail_item "run_one.sh wrote no result"
    [ "$failed" = 0 ] || note="see $log: $(failed_tests "$log")"
    ran_on_device "$line" "$log"
}

op_line="^$device.*, seed "
part_ops() { for program in "${programs[@]}"; do item "$program" check_program "$op_line" "$program"; done; }

# ---- sanitize --------------------------------------------------------------------------------------------------------

tools=(memcheck racecheck synccheck)
refusals='not supported|Internal Sanitizer Error|Unable to|Failed to|error 999'

# sanitized NAME TOOL COMMAND...: leaves the log of compute-sanitizer; our API errors are tests of errors.
sanitized() {
    local name=$1 tool=$2
    shift 2
    limited compute-sanitizer --tool "$tool" --target-processes all --report-api-errors no --error-exitcode 9 "$@" \
        >"$out/logs/$name" 2>&1
}

# probe_sanitizer TOOL: whether it works on this device, asked with one short translation; $refused is why it does not.
# Returns 1 when there was no time to know. An answer holds for the calls that follow.
refused=''
probe_sanitizer() {
    local tool=$1 answered=$out/done/sanitize.$1.probe
    refused='' overran=no
    [ ! -e "$answered" ] || return 0
    give_time
    [ "$left" -ge $least_seconds ] || { echo "$part.$tool" >>"$work/late"; return 1; }
    if [ "$device" != cuda ]; then
        refused="compute-sanitizer is for GPUs; the stand-in's own shadow watches"
    elif ! command -v compute-sanitizer >/dev/null; then
        refused="no compute-sanitizer on the path"
    elif ! sanitized "probe.$tool" "$tool" ./heddle translate tests/data/ct2/aren-v2 --tokens --beam 1 \
        --device "$device" < <(words); then
        refused=$(grep -m 1 -E "$refusals" "$out/logs/probe.$tool" | sed 's/^[= ]*//')
        if [ $overran = yes ]; then
            if put_off "$part.$tool"; then return 1; fi
            refused="one translation had no end after $left s"
        fi
    fi
    [ -n "$refused" ] || touch "$answered"
}

sanitize_program() {
    local tool=$1 program=$2
    limited tests/run/run_one.sh criterion "$tool.$program" "$out/results" compute-sanitizer --tool "$tool" \
        --target-processes all --report-api-errors no --error-exitcode 9 "tests/$program" >"$out/logs/$tool.$program" 2>&1
    [ $overran = no ] || return
    read -r _ passed failed skipped _ <"$out/results/$tool.$program.result" || fail_item "run_one.sh wrote no result"
    [ "$failed" = 0 ] || note="see results/$tool.$program.log"
    ran_on_device "$op_line" "results/$tool.$program.log"
}

sanitize_road() {
    local tool=$1
    if sanitized "$tool.road" "$tool" ./heddle translate tests/data/ct2/aren-v2 --tokens --device "$device" < <(words); then
        passed=1
    else
        fail_item "see logs/$tool.road"
    fi
}

# The programs, those that failed without a tool before the others: what they did wrong is asked first.
failed_first() {
    local program p f
    for program in "${programs[@]}"; do
        p=1 f=0
        [ ! -e "$out/done/ops.$program" ] || read -r p f _ <"$out/done/ops.$program"
        echo "$((f > 0 ? 0 : 1)) $program"
    done | sort -s -k 1,1n | cut -d ' ' -f 2
}

part_sanitize() {
    for tool in "${tools[@]}"; do
        [ ! -e "$out/done/sanitize.$tool" ] || continue
        probe_sanitizer "$tool" || continue
        if [ -n "$refused" ]; then item "$tool" not_run "$refused"; continue; fi
        item "$tool-road" sanitize_road "$tool"
        for program in $(failed_first); do item "$tool-$program" sanitize_program "$tool" "$program"; done
    done
}

# ---- road ------------------------------------------------------------------------------------------------------------

score_bound=1e-4            # relative to scores above 1; f32 sums in another order
n_sentences=20
company=(4 64 1024)         # rows of a step: of one sentence alone with beam 4; of some; the usual most on a GPU
if [ "$device" = simt ]; then company=(4 8); fi
n_crowd=300                 # sentences that fill the largest step: 1,200 hypotheses
computes=(f32 bf16 f16 int8)

# Names in Arabic letters, a letter a token.
words() { printf '%s\n' 'آ ت ز م و ن' 'آ ز ا' 'آ ن ي س ة' 'م ح م و د' 'س ل ا م' 'ب غ د ا د' ''; }
two_words() { words | head -n 2; }
sentences() { head -n $n_sentences tests/data/en-de/test.en; }
crowd() { head -n $n_crowd tests/data/en-de/test.en; }
crowd_of_words() { for ((i = 0; i < n_crowd; i += 6)); do words; done; }

# translate INPUT_FUNCTION FILE ARGUMENT...: without alignment, which has steps of its own, for the usual ones are looked at.
translate() {
    local input=$1 file=$2
    shift 2
    "$input" >"$work/input"
    limited ./heddle translate --json --alignment none --quiet -i "$work/input" "$@" >"$file" 2>"$file.err" ||
        fail_item "heddle translate: $(head -n 1 "$file.err")"
}

# field NAME FILE: the values of a field that is a list of strings, or a number, one a line.
field() { grep -oE "\"$1\":(\[(\"([^\"\\\\]|\\\\.)*\",?)*\]|-?[0-9.e+-]+)" "$2"; }

# same_road INPUT_FUNCTION BEAM ARGUMENT...: tokens are the CPU's, all hypotheses; scores too, within the bound.
same_road() {
    local input=$1 beam=$2 where
    shift 2
    for where in cpu "$device"; do
        translate "$input" "$work/$where" "$@" --beam "$beam" --n-best "$beam" --compute f32 --device "$where"
        field tokens "$work/$where" >"$work/$where.tokens"
        field score "$work/$where" | sed 's/.*://' >"$work/$where.scores"
    done
    [ $overran = no ] || return
    [ -s "$work/cpu.tokens" ] || fail_item "no tokens"
    if cmp -s "$work/cpu.tokens" "$work/$device.tokens"; then
        passed=$((passed + 1))
    else
        fail_item "tokens differ: $(diff "$work/cpu.tokens" "$work/$device.tokens" | grep -c '^<') of" \
            "$(wc -l <"$work/cpu.tokens") hypotheses"
        cp "$work/cpu.tokens" "$work/$device.tokens" "$out/logs"
    fi
    if paste "$work/cpu.scores" "$work/$device.scores" | awk -v bound=$score_bound '
        { d = $1 - $2; d = d < 0 ? -d : d; most = $1 < -1 ? -$1 : 1; if (NF != 2 || d > bound * most) bad++ }
        END { exit bad > 0 || NR == 0 }'; then passed=$((passed + 1)); else fail_item "scores differ"; fi
}

# same_company INPUT_FUNCTION COMPUTE ARGUMENT...: the same bits of a sentence alone and in any company.
same_company() {
    local input=$1 compute=$2 rows
    shift 2
    for rows in "${company[@]}"; do
        translate "$input" "$work/rows-$rows" "$@" --compute "$compute" --device "$device" --beam 4 --max-rows "$rows"
        [ $overran = no ] || return
    done
    for rows in "${company[@]:1}"; do
        if [ -s "$work/rows-$rows" ] && cmp -s "$work/rows-${company[0]}" "$work/rows-$rows"; then
            passed=$((passed + 1))
        else
            fail_item "bits differ with $rows rows"
        fi
    done
}

part_road() {
    local aren=(tests/data/ct2/aren-v2 --tokens)
    for beam in 1 4; do item "aren-v2-beam-$beam" same_road words $beam "${aren[@]}"; done
    if [ "$device" = simt ]; then
        item aren-v2-rows-bf16 same_company two_words bf16 "${aren[@]}"
        item test_simt_road_slow check_program "^road on simt" test_simt_road_slow --filter simt_road/rescored_f32
        return
    fi
    for program in "${roads[@]}"; do item "$program" check_program "^road on $device" "$program"; done
    for compute in "${computes[@]}"; do item "aren-v2-rows-$compute" same_company crowd_of_words "$compute" "${aren[@]}"; done
    for beam in 1 4; do item "en-de-beam-$beam" same_road sentences $beam models/en-de; done
    for compute in "${computes[@]}"; do item "en-de-rows-$compute" same_company crowd "$compute" models/en-de; done
}

# shellcheck source=scripts/gpu-bench.sh
. "$bundle/gpu-bench.sh"

# ---- run -------------------------------------------------------------------------------------------------------------

# What is measured, and what writes to the working folder, runs alone.
cores=$(nproc)
declare -A items_at_once=([ops]=$((cores < 4 ? cores : 4)) [sanitize]=$((cores < 8 ? cores : 8)) [road]=1 [bench]=1)
# Of an item: one that hangs must not take the time of all the others. Tools of a sanitizer are slow, and so is the stand-in.
declare -A item_seconds=([ops]=80 [road]=120 [bench]=120 [sanitize]=$part_seconds)
for name in "${parts[@]}"; do
    most=${item_seconds[$name]}
    [ "$device" = cuda ] || most=$part_seconds
    begin_part "$name" "${items_at_once[$name]}" "$most"
    "part_$name"
    end_part
    write_record
    copy_results
done
echo "== $out/summary.txt"
touch "$work/late"
sed 's/^/not run: /; s/$/: the part had no time left; the same call goes on here/' "$work/late"
echo "skipped: $total_skipped"
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" = 0 ] || exit 1
[ ! -s "$work/late" ] || exit 4
