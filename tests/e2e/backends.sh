#!/usr/bin/env bash
# backends.sh PROGRAM ROOT [DATA] - what `heddle devices` and `--device` say of backends that are there, broken or missing.
# shellcheck disable=SC2016   # conditions are expanded later

# shellcheck source=tests/cli/cases.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cases.sh"

build=$(dirname "$program")

# A copy of the program with no library beside it.
mkdir "$work/alone"
cp "$program" "$work/alone/heddle"
begin missing
"$work/alone/heddle" devices >"$out" 2>"$err"
code=$?
expect_code 0
expect_match '^cpu '
expect_match '^cuda +not usable: cuda: library missing: libheddle-cuda\.so is not in '
expect_match '^simt +not usable: simt: library missing: libheddle-simt\.so is not in '

# A file that is no library ends the search: it is named.
echo 'no library' >"$work/alone/libheddle-cuda.so"
begin broken
"$work/alone/heddle" devices >"$out" 2>"$err"
code=$?
expect_code 0
expect_match '^cuda +not usable: cuda: .*/libheddle-cuda\.so does not load: '

# The real one: a device, or the reason, in words that name what is missing. It loads without a driver.
if [ -e "$build/libheddle-cuda.so" ]; then
    try cuda devices
    expect_code 0
    expect_silent
    expect_match '^cuda:0 +.*multiprocessors|^cuda +not usable: cuda: (no driver: the NVIDIA driver|no device: the driver is there|the driver is too old: it serves CUDA)'
    # Optional libraries: where they are, or where they were looked for, with and without a device.
    expect_match '^ +cuBLASLt ([0-9]+\.[0-9]+\.[0-9]+: /|not found: libcublasLt\.so\.13.* looked for on the loader.s path, in )'
    expect_match '^ +NCCL ([0-9]+\.[0-9]+\.[0-9]+: /|not found: libnccl\.so\.2.* looked for on the loader.s path, in )'
    try cuda-json devices --json
    expect_match '"name": ?"cuda.*"libraries": ?\["cuBLASLt .*", ?"NCCL '
    try cuda-again devices
    if ! grep -q '^cuda:0' "$out"; then
        try cuda-hidden translate --device cuda "$en_de"
        expect_code 3
        expect_error 'cuda: (no driver|no device|the driver is too old)'
    fi
else
    echo "skipped: $build/libheddle-cuda.so is not built"
fi

if [ -e "$build/libheddle-simt.so" ]; then
    try simt devices
    expect_code 0
    expect_match '^simt +CPU stand-in 0, '
    begin simt-no-driver
    SIMT_DRIVER=none "$program" devices >"$out" 2>"$err"
    code=$?
    expect_code 0
    expect_match '^simt +not usable: simt: no driver: the NVIDIA driver \(libcuda\.so\.1\) is not installed here$'
    begin simt-no-device
    SIMT_DEVICES=0 "$program" devices >"$out" 2>"$err"
    code=$?
    expect_match '^simt +not usable: simt: no device: the driver is there and sees no CUDA device '
else
    echo "skipped: $build/libheddle-simt.so is not built"
fi
finish
