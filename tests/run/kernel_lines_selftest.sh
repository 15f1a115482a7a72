#!/usr/bin/env bash
# kernel_lines_selftest.sh - kernel_lines.py must find a line that did not run, an instance that was never entered, each kind
# of wrong mark and a file that is not compiled in a tree made for it, and nothing else.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for tool in python3 gcov g++; do
    if ! command -v $tool >/dev/null; then
        echo "skipped: no $tool"
        echo "0 passed, 0 failed"
        exit 0
    fi
done
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0 failed=0
mkdir "$tree/kernels" "$tree/objects"

# expect NAME OFFENCE...: a.cu, read from standard input, has these offences and no other, in this order.
expect() {
    local name=$1 found wanted=''
    shift
    cat >"$tree/kernels/a.cu"
    rm -f "$tree"/objects/*
    g++ -std=c++17 --coverage -O0 -x c++ "$tree/kernels/a.cu" -c -o "$tree/objects/a.cu.o"
    g++ --coverage "$tree/objects/a.cu.o" -o "$tree/objects/a"
    "$tree/objects/a"
    found=$(python3 "$here/kernel_lines.py" "$tree/objects" "$tree" | grep '^kernels/a.cu:') || true
    if [ $# -gt 0 ]; then wanted=$(printf 'kernels/a.cu:%s\n' "$@"); fi
    if [ "$found" = "$wanted" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s: expected\n%s\nfound\n%s\n' "$name" "$wanted" "$found"
    fi
}

expect clean <<'TEXT'
static int half(int x) { return x / 2; }
int main() { return half(1); }
TEXT

expect "a line" "4: did not run: return 1;" <<'TEXT'
int main(int n, char **)
{
    if (n > 5)
        return 1;
    return 0;
}
TEXT

expect "an instance" "1: was never entered: int half<float>(float)" <<'TEXT'
template <class T> int half(T x) { return x > T(3) ? 1 : 0; }
int main(int n, char **) { return n > 5 ? half(1.0f) : half(n); }
TEXT

expect "a mark with a reason" <<'TEXT'
int main(int n, char **)
{
    if (n > 5)
        return 1;   // not run on the stand-in: it is never called with arguments
    return 0;
}
TEXT

expect "a mark without one" "4: is marked as not run without a reason" <<'TEXT'
int main(int n, char **)
{
    if (n > 5)
        return 1;   // not run on the stand-in
    return 0;
}
TEXT

expect "a function that is marked" <<'TEXT'
// not run on the stand-in: it is for arguments
static int many(int n)
{
    return n + 1;
}
int main(int n, char **) { return n > 5 ? many(n) : 0; }
TEXT

expect "a function that is marked, and runs" "1: is marked as not run, and ran" <<'TEXT'
// not run on the stand-in: it is for arguments
static int many(int n) { return n - 1; }
int main(int n, char **) { return many(n); }
TEXT

expect "marks that are not true" "3: is marked as not run, and ran" \
    "4: is marked as not run, and holds no code of the stand-in's build" <<'TEXT'
int main(int n, char **)
{
    return n - 1;   // not run on the stand-in: somebody thought so
                    // not run on the stand-in: nor is this
}
TEXT

# left_out FILE STATUS LINE: beside a.cu lies a file that is not compiled; kernel_lines.py ends so and says LINE of it.
left_out() {
    local status=0 found
    : >"$tree/kernels/$1"
    found=$(python3 "$here/kernel_lines.py" "$tree/objects" "$tree") || status=$?
    rm "$tree/kernels/$1"
    if [ $status = "$2" ] && grep -qxF "kernels/$1: not in this build: $3" <<<"$found"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s: expected %s, found %s\n%s\n' "$1" "$2" $status "$found"
    fi
}

expect "files beside it" <<'TEXT'
int main() { return 0; }
TEXT
left_out b.cu 1 "nobody has said why"
left_out gemm_no_library.cu 0 "it stands for cuBLASLt where cublasLt.h is missing"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
