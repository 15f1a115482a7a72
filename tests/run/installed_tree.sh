#!/usr/bin/env bash
# installed_tree.sh BUILD - installs BUILD into a folder of its own and uses it as a stranger would.
#
# The examples are built through pkg-config and through find_package, and run; so is the program. Closes with
# "N passed, N failed".
set -uo pipefail
source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
passed=0 failed=0

# check NAME COMMAND...: the command must succeed; what it says is shown when it does not.
check() {
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$name failed:"
        tail -n 40 "$work/log" | sed 's/^/    /'
    fi
}

# says TEXT COMMAND...: the command succeeds and its output holds TEXT.
says() {
    local text=$1 output
    shift
    output=$("$@") || { echo "exit $?"; return 1; }
    echo "$output"
    grep -qF -- "$text" <<<"$output"
}

check "cmake --install" cmake --install "$build" --prefix "$prefix"
libdir=$(dirname "$(find "$prefix" -name 'libheddle.so.0' | head -n 1)")
export LD_LIBRARY_PATH=$libdir PKG_CONFIG_PATH=$libdir/pkgconfig
models=$prefix/share/heddle

check "the model has its licence beside it" cmp "$source_root/models/en-de/LICENSE" "$models/models/en-de/LICENSE"

# An installed tree may be moved.
check "heddle.pc names the prefix" says "$prefix" pkg-config --variable=prefix --define-prefix heddle
check "soname" says "libheddle.so.0" readelf -d "$libdir/libheddle.so"

mkdir "$work/by-pkg-config"
check "examples through pkg-config" make -s -C "$source_root/examples" OUT="$work/by-pkg-config" \
    CFLAGS="-O2 -Wall -Wextra -Wpedantic -Werror" CXXFLAGS="-O2 -Wall -Wextra -Wpedantic -Werror"
check "cmake finds heddle" cmake -S "$source_root/examples" -B "$work/by-cmake" -DCMAKE_PREFIX_PATH="$prefix"
check "examples through find_package" cmake --build "$work/by-cmake"
check "linking the static library" bash -c "cc -std=c17 '$source_root/examples/translate.c' -o '$work/static' \
    \$(pkg-config --cflags heddle) '$libdir/libheddle.a' \$(pkg-config --static --libs heddle | sed 's/-lheddle//')"

cd "$models" || exit 1
for folder in "$work/by-pkg-config" "$work/by-cmake"; do
    check "$folder: translate" says "Guten Morgen" "$folder/translate"
    check "$folder: async" says "Guten Morgen" "$folder/async" models/en-de "Good morning." "How are you?"
done
check "static translate" says "Guten Morgen" "$work/static"

# The program finds the model that was installed with it, from anywhere.
cd / || exit 1
check "heddle translate" says "Guten Morgen" bash -c "echo 'Good morning.' | '$prefix/bin/heddle' translate"
check "heddle version" says "$(sed -n 's/.*HDL_VERSION_STRING "\(.*\)".*/\1/p' "$source_root/include/heddle/base.h")" \
    "$prefix/bin/heddle" version

# The example in heddle.h is the one that was compiled.
sed -n '/^ \*     hdl_model \*model;/,/^ \*     hdl_model_close/s/^ \* *//p' "$source_root/include/heddle/heddle.h" >"$work/told"
sed -n '/^    hdl_model \*model;/,/^    hdl_model_close/s/^ *//p' "$source_root/examples/translate.c" >"$work/compiled"
check "heddle.h shows examples/translate.c" diff "$work/told" "$work/compiled"
check "README shows examples/translate.c" bash -c "sed -n '/^ *hdl_model \*model;/,/^ *hdl_model_close/s/^ *//p' \
    '$source_root/README.md' | diff - '$work/compiled'"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
