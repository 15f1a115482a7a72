#!/usr/bin/env bash
# gpu-bundle.sh [--libraries FOLDER] [--out FOLDER] - makes build/gpu-bundle: what a machine with a GPU needs to check and
# measure the CUDA backend, and no compiler, no source and no network: programs, libraries beyond libc, models, text.
#
#   --libraries FOLDER   take libheddle-cuda.so and libheddle-simt.so from there, as they are, instead of building them
#   --out FOLDER         the bundle, made anew: a bundle that is there is deleted; default build/gpu-bundle
#
# Programs are built in build/gpu, without oneDNN. On the other machine: gpu-bundle/gpu-check.sh.
# Exit: 0 made; 1 failed, or it is over 40 MB, or libheddle-cuda.so over 30; 2 wrong usage; 3 neither library is there nor can be built.
set -euo pipefail
called_from=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

most_bytes=40000000         # what is easily copied to a rented machine
most_library_bytes=30000000 # of libheddle-cuda.so, stripped of what only a debugger reads
folder=build/gpu bundle=build/gpu-bundle libraries=

while [ $# -gt 0 ]; do
    case $1 in
        --libraries | --out)
            [ $# -gt 1 ] || { echo "gpu-bundle.sh: $1 needs a folder" >&2; exit 2; }
            [ -n "$2" ] || { echo "gpu-bundle.sh: $1 '', allowed the name of a folder" >&2; exit 2; }
            case $2 in /*) given=$2 ;; *) given=$called_from/$2 ;; esac
            if [ "$1" = --out ]; then bundle=$given; else libraries=$given; fi
            shift 2 ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' scripts/gpu-bundle.sh; exit 0 ;;
        *) echo "gpu-bundle.sh: unknown argument '$1'" >&2; exit 2 ;;
    esac
done
# It will be deleted, and a slip of the hand may name anything. A bundle has this file from the first moment.
if [ -e "$bundle" ] && [ ! -f "$bundle/test-programs" ] && ! rmdir "$bundle" 2>/dev/null; then
    echo "gpu-bundle.sh: --out '$bundle' is there and is no bundle (it holds no test-programs): name another folder" >&2
    exit 2
fi

# Tests of ops, and of the whole road (suites named cuda_), run on every place that is there; the last words of their names
# are those of the sources.
mapfile -t programs < <(grep -lE 'OP_N_PLACES|OP_CUDA|^TestSuite\(cuda_' tests/test_*.c | sed 's|.*/||; s|\.c$||')
[ ${#programs[@]} -gt 0 ] || { echo "gpu-bundle.sh: no test of ops in tests/" >&2; exit 1; }

# ---- build -----------------------------------------------------------------------------------------------------------

# Tests find their files through compile definitions that name this machine's folders. In the bundle the working folder
# is the root of all, so they are defined again, relative to it: these flags stand after the definitions.
relative=
for pair in HEDDLE_SOURCE_DIR=. HEDDLE_BACKENDS=backends HEDDLE_PROGRAM=./heddle HEDDLE_TEST_PLUGINS=plugins; do
    relative+=" -U${pair%%=*} -D${pair%%=*}=\\\"${pair#*=}\\\""
done
generator="Unix Makefiles"
if command -v ninja >/dev/null; then generator=Ninja; fi
if [ -f $folder/CMakeCache.txt ]; then generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' $folder/CMakeCache.txt); fi
cmake -S . -B $folder -G "$generator" -DHEDDLE_ONEDNN=OFF -DHEDDLE_TEST_DATA= "-DCMAKE_C_FLAGS=$relative"
targets=(heddle_program bench_translate bench_gemm "${programs[@]}")
if [ -z "$libraries" ]; then
    libraries=$folder
    names=$(cmake --build $folder --target help)
    for library in cuda simt; do
        if grep -qE "(^|[ :.])heddle_$library(:|$)" <<<"$names"; then
            targets+=("heddle_$library")
        else
            echo "gpu-bundle.sh: without libheddle-$library.so: see cmake's line above"
        fi
    done
    if grep -qE "(^|[ :.])fake_cublaslt_sound(:|$)" <<<"$names"; then targets+=(fake_cublaslt_sound); fi
fi
cmake --build $folder --parallel "$(nproc)" --target "${targets[@]}"

# ---- bundle ----------------------------------------------------------------------------------------------------------

# Programs, each with heddle linked in, and their libraries are packed: unpacked they alone fill half the room.
packed=$folder/packed
rm -rf "$bundle" $packed
mkdir -p "$bundle"
printf '%s\n' "${programs[@]}" >"$bundle/test-programs"
mkdir -p "$bundle"/{models,tests/data/{ct2,en-de,goldens}} $packed/{tests/run,bench,lib/spare}
cp $folder/heddle $packed
cp $folder/bench/bench_translate $folder/bench/bench_gemm $packed/bench
for program in "${programs[@]}"; do cp "$folder/tests/$program" $packed/tests; done
found=0
for library in cuda simt; do
    [ -e "$libraries/libheddle-$library.so" ] || continue
    cp "$libraries/libheddle-$library.so" $packed
    found=$((found + 1))
done
[ $found -gt 0 ] || { echo "gpu-bundle.sh: neither libheddle-cuda.so nor libheddle-simt.so in $libraries" >&2; exit 3; }

# The C library is the other machine's own. Its C++ runtime is preferred too: its tools may need a newer one than ours.
mapfile -t files < <(find $packed -type f)
ldd "${files[@]}" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u | while read -r library; do
    case ${library##*/} in
        ld-linux* | libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libresolv.so.*) ;;
        libstdc++.so.* | libgcc_s.so.*) cp -L "$library" $packed/lib/spare ;;
        *) cp -L "$library" $packed/lib ;;
    esac
done
# The double of cuBLASLt, for the dry run of bench_gemm. It needs the stand-in alone, which is there.
if [ -e "$libraries/tests/cublaslt/sound" ]; then
    mkdir -p $packed/tests/cublaslt
    cp -r "$libraries/tests/cublaslt/sound" $packed/tests/cublaslt
fi
# Faults on the stand-in name functions by the symbols of its library.
find $packed -type f ! -name 'libheddle-*' -exec strip {} +
find $packed -name 'libheddle-*' -exec strip --strip-debug {} +
if [ -e $packed/libheddle-cuda.so ]; then
    bytes=$(stat -c %s $packed/libheddle-cuda.so)
    echo "gpu-bundle.sh: libheddle-cuda.so, $bytes bytes"
    if [ "$bytes" -ge $most_library_bytes ]; then
        echo "gpu-bundle.sh: libheddle-cuda.so has $bytes bytes, allowed fewer than $most_library_bytes" >&2
        exit 1
    fi
fi
cp tests/run/run_one.sh $packed/tests/run
cp bench/peers_gpu.py bench/peers_models.py bench/trace_ops.py bench/paper_estimate.py $packed/bench
# Each program holds the same library: xz sees that the next file resembles the one before, gzip does not look so far back.
if command -v xz >/dev/null; then
    tar --sort=name -cf - -C $packed . | xz -1 >"$bundle/programs.tar.xz"
else
    tar -czf "$bundle/programs.tar.gz" -C $packed .
fi

cp scripts/gpu-check.sh scripts/gpu-record.sh scripts/gpu-bench.sh "$bundle"
cp -r models/en-de "$bundle/models"
cp -r tests/data/ct2/aren-v2 "$bundle/tests/data/ct2"
cp -r tests/data/goldens/tiny-* "$bundle/tests/data/goldens"
cp tests/data/en-de/test.{en,de} "$bundle/tests/data/en-de"
cp tests/data/newstest2017-lengths.txt "$bundle/tests/data"
commit=unknown
if git rev-parse HEAD >/dev/null 2>&1; then
    commit=$(git rev-parse --short=12 HEAD)
    if [ -n "$(git status --porcelain)" ]; then commit+=" with changes"; fi
fi
echo "$commit" >"$bundle/commit"

bytes=$(du -sb --apparent-size "$bundle" | cut -f 1)
echo "gpu-bundle.sh: $bundle, $((bytes / 1000000)) MB, $found backends, ${#programs[@]} test programs, commit $commit"
if [ "$bytes" -gt $most_bytes ]; then
    echo "gpu-bundle.sh: $bytes bytes, at most $most_bytes" >&2
    exit 1
fi
