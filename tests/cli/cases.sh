# shellcheck shell=bash
# cases.sh - what the end-to-end suites share: how a case runs the program, what it compares, how it is counted.
#
# A suite sources this file with its own arguments (PROGRAM ROOT [DATA]), runs cases, and ends with `finish`. A case is
# `try NAME [ARGUMENT...]`, which runs the program with what `given` holds as standard input and leaves `code`, $out and
# $err, followed by `expect_...` lines. The first expectation that fails says why; then the case has failed.

program=$1 root=$2
# shellcheck disable=SC2034  # the suites use them
en_de=$root/models/en-de aren=$root/tests/data/ct2/aren-v2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
out=$work/out err=$work/err given=$work/given
name='' why='' code=0 passed=0 failed=0
: >"$given"

# The same bytes on every machine, whatever its language.
export LC_ALL=C

close_case() {
    [ -n "$name" ] || return 0
    if [ -z "$why" ]; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        echo "FAILED $name $why"
        sed 's/^/    stderr: /' "$err" | head -n 5
        failed=$((failed + 1))
    fi
    name='' why=''
}

# A new case whose command the suite runs itself.
begin() {
    close_case
    name=$1
    : >"$out"
    : >"$err"
}

try() {
    begin "$1"
    shift
    "$program" "$@" <"$given" >"$out" 2>"$err"
    code=$?
}

complain() { [ -n "$why" ] || why=$1; }

# What the next cases read, as printf would write it.
# shellcheck disable=SC2059
input() { printf "$@" >"$given"; }

expect_code() { [ "$code" = "$1" ] || complain "exit $code, not $1"; }

# All of standard output, as printf would write it.
expect_out() {
    # shellcheck disable=SC2059
    printf "$@" >"$work/wanted"
    cmp -s "$work/wanted" "$out" || complain "printed $(head -c 300 "$out" | od -c | head -n 4 | cut -c9- | tr -s ' \n' ' ')"
}

expect_lines() { [ "$(wc -l <"$out")" -eq "$1" ] || complain "$(wc -l <"$out") lines, not $1"; }
expect_match() { grep -Eq -- "$1" "$out" || complain "no line of the output matches $1"; }
expect_silent() { [ ! -s "$err" ] || complain "standard error is not empty"; }

# One line on standard error that begins with "heddle: " and matches.
expect_error() {
    [ "$(wc -l <"$err")" -eq 1 ] || complain "$(wc -l <"$err") lines on standard error, not 1"
    grep -q '^heddle: ' "$err" || complain "the error does not begin with heddle:"
    grep -Eq -- "$1" "$err" || complain "the error does not match $1"
}

expect_file() { [ -s "$1" ] || complain "no file ${1##*/}"; }
expect_that() { eval "$1" || complain "not so: $1"; }

finish() {
    close_case
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}
