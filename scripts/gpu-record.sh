# shellcheck shell=bash
# gpu-record.sh - counts, markers and the record of gpu-check.sh. Sourced; uses its $out, $work, $device and $libraries.
#
# An item that has ended leaves $out/done/PART.NAME: passed, failed, skipped, seconds, and a note; so a run that breaks off
# goes on where it was, and the record is made from the markers alone.
: "${out:=}" "${work:=}" "${device:=}" "${libraries:=}" "${copy:=}" "${seconds:=}"

part_seconds=165            # a part ends within 3 minutes, the start of the script and its record included
least_seconds=5             # with less left no item begins
kill_seconds=5              # from the polite to the final signal

ask_seconds=60              # for a driver that does not answer; of a short --seconds a quarter
if [ -n "$seconds" ] && [ $((seconds / 4)) -lt $ask_seconds ]; then ask_seconds=$((seconds / 4)); fi
spare_seconds=15            # of --seconds: for the record and the archive

part='' passed=0 failed=0 skipped=0 note='' left=0 item_ends=0 overran=no part_began=0 at_once=1 most_seconds=$part_seconds
export overran              # set by `limited`, read by items

# begin_part NAME ITEMS_AT_ONCE SECONDS_OF_AN_ITEM
begin_part() {
    part=$1 at_once=$2 most_seconds=$3 part_began=$SECONDS
    echo "== $part"
}

end_part() {
    wait
    grep -q "^$part\." "$work/late" 2>/dev/null || touch "$out/done/$part"
}

# time_left: seconds that an item may take which begins now.
time_left() {
    local ends=$((part_began + part_seconds))
    if [ -n "$seconds" ] && [ $((seconds - spare_seconds)) -lt $ends ]; then ends=$((seconds - spare_seconds)); fi
    echo $((ends - SECONDS < most_seconds ? ends - SECONDS : most_seconds))
}

# give_time: sets what in_time allows from now on.
give_time() {
    left=$(time_left)
    item_ends=$((SECONDS + left))
}

# in_time COMMAND...: ended when the item's time is over. To `timeout` itself 0 would mean no limit.
in_time() {
    local rc=0 rest=$((item_ends - SECONDS))
    if [ $rest -lt 1 ]; then overran=yes; return 124; fi
    timeout -k $kill_seconds $rest "$@" || rc=$?
    if [ $rc = 124 ] || [ $rc = 137 ]; then overran=yes; fi
    return $rc
}

# limited COMMAND...: a program of the bundle, in time.
limited() { in_time env LD_LIBRARY_PATH="$libraries" "$@"; }

# item NAME FUNCTION [ARGUMENT...]: the function sets passed, failed, skipped and note, and calls programs through
# `limited`. It runs in a shell of its own, beside at most at_once - 1 others.
item() {
    local name=$part.$1
    shift
    [ ! -e "$out/done/$name" ] || return 0
    while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n; done
    give_time
    if [ "$left" -lt $least_seconds ] && [ "$1" != not_run ]; then echo "$name" >>"$work/late"; return 0; fi
    run_item "$name" "$@" &
}

# put_off NAME: leaves an item that had less than its time to the next call, where it is among the first. Once: the second
# time it fails, so that calls come to an end.
put_off() {
    [ ! -e "$out/late-once/$1" ] || return 1
    touch "$out/late-once/$1"
    echo "$1" >>"$work/late"
}

run_item() {
    local name=$1 function=$2 began=$SECONDS
    shift 2
    passed=0 failed=0 skipped=0 note='' overran=no
    "$function" "$@"
    if [ $overran = yes ]; then
        if [ "$left" -lt $((most_seconds - least_seconds)) ] && put_off "$name"; then return; fi
        failed=$((failed > 0 ? failed : 1)) note="no end after $left s"
    fi
    echo "$passed $failed $skipped $((SECONDS - began)) ${note//$'\n'/ }" >"$out/done/$name"
    rm -f "$out/late-once/$name"
    grep -qxF "$name" "$out/order" 2>/dev/null || echo "$name" >>"$out/order"
    show_item "$name"
}

# Nothing could be done, for a reason.
not_run() { skipped=1 note="not run: $*"; }

# fail_item WORDS: one failed check.
fail_item() {
    failed=$((failed + 1))
    note="${note:+$note; }$*"
}

show_item() {
    local p f s seconds words
    read -r p f s seconds words <"$out/done/$1"
    printf '%-36s %4d passed %3d failed %3d skipped %4d s  %s\n' "$1" "$p" "$f" "$s" "$seconds" "$words"
}

# In the order in which they ended.
items() {
    local name
    while read -r name; do [ ! -e "$out/done/$name" ] || echo "$name"; done < <(cat "$out/order" 2>/dev/null)
}

# ---- the machine -----------------------------------------------------------------------------------------------------

# ask_gpu FIELD: what nvidia-smi says of the first GPU, or nothing.
ask_gpu() {
    [ "$device" = cuda ] || return 0
    timeout $ask_seconds nvidia-smi --id=0 --query-gpu="$1" --format=csv,noheader,nounits 2>/dev/null | head -n 1 || true
}

# What may be needed to understand a failure, and is gone with the machine.
describe_machine() {
    uname -srm
    head -n 1 /proc/driver/nvidia/version
    timeout $ask_seconds nvidia-smi
    command -v nvcc compute-sanitizer ncu python3
    ldconfig -p | grep -E 'libcuda\.|libcublasLt|libnccl'
    echo "LD_LIBRARY_PATH=$libraries"
    nproc
    free -g
}

# python_cublaslt: ":FOLDER" of the cuBLASLt that came with a Python package, for a machine that has it nowhere else. It
# stands last, so that an installed one is taken first.
python_cublaslt() {
    python3 -c 'import glob, sys
found = [file for path in sys.path for file in glob.glob(path + "/nvidia/*/lib/libcublasLt.so.1[23]")]
print(":" + found[0].rpartition("/")[0] if found else "")' 2>/dev/null || true
}

gpu='' driver='' clocks_before='' commit='' device_line='' total_passed=0 total_failed=0 total_skipped=0

look_at_machine() {
    gpu=$(ask_gpu name)
    : "${gpu:=$device}"
    driver=$(ask_gpu driver_version)
    clocks_before=$(ask_gpu clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,temperature.gpu,power.draw)
}

# ---- the record ------------------------------------------------------------------------------------------------------

# json_string WORDS: as a JSON string, on one line.
json_string() {
    local words=${1//[[:cntrl:]]/ }
    words=${words//\\/\\\\}
    printf '"%s"' "${words//\"/\\\"}"
}

# json_numbers NAMES VALUES: "NAME": VALUE for names and values separated by commas; what is no number becomes null.
json_numbers() {
    awk -v names="$1" -v values="$2" 'BEGIN {
        n = split(names, name, ","); split(values, value, / *, */)
        for (i = 1; i <= n; i++)
            printf("%s\"%s\": %s", i > 1 ? ", " : "", name[i], value[i] ~ /^[0-9.]+$/ ? value[i] : "null")
    }'
}

clock_names=sm_mhz,memory_mhz,most_sm_mhz,most_memory_mhz,celsius,watts

record_items() {
    local name p f s seconds words first=yes
    for name in $(items); do
        read -r p f s seconds words <"$out/done/$name"
        [ $first = yes ] || printf ',\n'
        first=no
        printf '  {"part": "%s", "name": "%s", "passed": %d, "failed": %d, "skipped": %d, "seconds": %d, "note": %s}' \
            "${name%%.*}" "${name#*.}" "$p" "$f" "$s" "$seconds" "$(json_string "$words")"
    done
    printf '\n'
}

# What the program counted is JSON already; of bench_translate the record holds the lines.
record_benches() {
    local file name line first=yes
    for file in "$out"/bench/*; do
        [ -s "$file" ] || continue
        [ $first = yes ] || printf ',\n'
        first=no
        name=${file##*/}
        printf '  "%s": ' "${name%.*}"     # so no two files may differ in their ending alone
        case $name in
            *.json) sed '1!s/^/  /' "$file" ;;
            *)
                printf '['
                { read -r line; json_string "$line"; while read -r line; do printf ',\n   '; json_string "$line"; done; } <"$file"
                printf ']' ;;
        esac
    done
    printf '\n'
}

# Writes DATE-GPU.json and summary.txt into $out, from what is in $out alone, and sets the totals.
write_record() {
    local file day late=() late_names=''
    [ ! -e "$work/late" ] || mapfile -t late <"$work/late"
    day=$(date +%F)
    file=$out/$day-$(tr -cs 'A-Za-z0-9\n' - <<<"$gpu").json
    [ ${#late[@]} = 0 ] || late_names=$(printf '"%s", ' "${late[@]}")
    read -r total_passed total_failed total_skipped < <(items | sed "s|^|$out/done/|" | xargs -r -d '\n' cat |
        awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
    {
        printf '{\n "date": "%s",\n "commit": %s,\n "device": "%s",\n' "$day" "$(json_string "$commit")" "$device"
        printf ' "gpu": %s,\n "driver": %s,\n "line": %s,\n' "$(json_string "$gpu")" "$(json_string "$driver")" \
            "$(json_string "$device_line")"
        printf ' "before": {%s},\n' "$(json_numbers "$clock_names" "$clocks_before")"
        printf ' "after": {%s},\n' "$(json_numbers "$clock_names" \
            "$(ask_gpu clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,temperature.gpu,power.draw)")"
        printf ' "passed": %d,\n "failed": %d,\n "skipped": %d,\n "unfinished": [%s],\n' "$total_passed" \
            "$total_failed" "$total_skipped" "${late_names%, }"
        printf ' "items": [\n%s\n ],\n "bench": {\n%s\n }\n}\n' "$(record_items)" "$(record_benches)"
    } >"$file"
    {
        echo "date      $day"
        echo "commit    $commit"
        echo "device    $device_line"
        echo "driver    ${driver:-none asked}"
        echo "clocks    before: ${clocks_before:-none asked} ($clock_names)"
        for name in $(items); do show_item "$name"; done
        for file in "$out"/bench/*.txt; do [ ! -e "$file" ] || cat "$file"; done
    } >"$out/summary.txt"
}

# To --copy: few files, whole after each part. The driver's own words about errors go along.
copy_results() {
    dmesg 2>/dev/null | grep -E 'NVRM|Xid' | tail -n 100 >"$out/logs/driver" || true
    [ -n "$copy" ] || return 0
    cp "$out"/summary.txt "$out"/*.json "$copy" 2>/dev/null || true
    tar -czf "$copy/results.tar.gz.new" -C "$out" . 2>"$work/error" &&
        mv "$copy/results.tar.gz.new" "$copy/results.tar.gz" 2>"$work/error" && return
    rm -f "$copy/results.tar.gz.new"
    echo "gpu-check.sh: $copy/results.tar.gz is not written: $(head -n 1 "$work/error")" >&2
}
