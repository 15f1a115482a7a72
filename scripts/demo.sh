#!/usr/bin/env bash
# demo.sh [SENTENCE...] - builds the program alone and translates with the model that ships.
#
# For each sentence: the source, its translation, a coloured picture of which word came from which, and at the end the
# path of the same picture as SVG.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sentences=("$@")
if [ ${#sentences[@]} = 0 ]; then
    sentences=("Good morning! How are you?" "The train to the city leaves at eight o'clock." "My sister has three cats.")
fi

if [ ! -x "$root/build/heddle" ]; then
    echo "demo.sh: building heddle; this takes a minute or two the first time" >&2
fi
"$root/scripts/build.sh" --quiet heddle
printf '%s\n' "${sentences[@]}" | "$root/build/heddle" align --split sentences --svg "$root/build/demo.svg"
