#!/usr/bin/env bash
# check_style.sh [ROOT] - the rules of the house that a machine can hold: one line an offence, "file:line: rule: what".
#
# Closes with "N passed, N failed", counted in rules. The rules are in tests/run/style_rules.awk (line by line) and
# here (names and lengths of files).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${1:-$here/..}"

rules="include device-name ifdef print allocation environment macro word assembly mark opening note function-length
space file-length file-name machine-path fast-math"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Data that others made, or that a program wrote, follows its own rules.
find . \( -path ./.git -o -path './build*' -o -path ./models -o -path ./tests/data -o -path ./tests/fuzz/seeds \
    -o -path ./bench/results -o -name __pycache__ \) -prune -o -type f -print | sed 's,^\./,,' | LC_ALL=C sort >"$work/all"
grep -E '\.(c|h|cc|cu|cuh)$' "$work/all" >"$work/code" || true
grep -E '\.(c|h|cc|cu|cuh|sh|awk|py|cmake|map)$|CMakeLists\.txt$|Makefile$|^\.ci/' "$work/all" >"$work/source" || true

# Folders whose code is ours to hold to every rule; tests may print, allocate and define what they like.
while read -r file; do LC_ALL=C awk -v file="$file" -f "$here/run/style_rules.awk" "$file"; done <"$work/code" >"$work/offences"

while read -r file; do
    LC_ALL=C awk -v file="$file" '
        /\t/ && file !~ /Makefile$/ { print file ":" NR ": space: a tab" }
        /[ \t\r]$/ { print file ":" NR ": space: white space at the end of the line" }
        /[^A-Za-z0-9_.](\/home\/|\/root\/|\/work\/|\/Users\/)/ { print file ":" NR ": machine-path: a path of one machine" }
        /\.\.\/shared/ && file != ".ci/run" { print file ":" NR ": machine-path: only .ci/run looks outside the repository" }
        /-ffast[-]math|-march=[n]ative|-Of[a]st/ { print file ":" NR ": fast-math: a flag that changes numbers or machines" }
        END { if (NR > 400) print file ":" NR ": file-length: " NR " lines, 400 allowed" }' "$file"
done <"$work/source" >>"$work/offences"

# A search for a file name must find one file. These names are given by tools.
grep -vE '(^|/)(CMakeLists\.txt|Makefile|README\.md|LICENSE|__init__\.py)$' "$work/all" |
    awk -F/ '{ if ($NF in first) print $0 ":1: file-name: also " first[$NF]; else first[$NF] = $0 }' >>"$work/offences"

LC_ALL=C sort -t: -k1,1 -k2,2n "$work/offences"
passed=0 failed=0
for rule in $rules; do
    if grep -q "^[^:]*:[0-9]*: $rule: " "$work/offences"; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ] && [ -s "$work/code" ]
