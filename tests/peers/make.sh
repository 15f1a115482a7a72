#!/bin/sh
# Makes the goldens of other systems: tests/peers/make.sh [VENV]. They are committed; run this to renew or to extend them.
# VENV is a Python virtual environment, made from PyPI when it is not there (default build/peers-venv, about 6 GB with torch).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${1:-$root/build/peers-venv}
model=$root/models/en-de

if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r "$here/requirements.txt"
fi

# One thread: sums in one order, the same bits every time.
export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
python=$venv/bin/python

"$python" "$here/make_tiny.py" "$root/tests/data/goldens"
"$python" "$here/make_options.py" "$root/tests/data/goldens"
"$python" "$here/check_options.py" "$root/tests/data/goldens"
if [ -d "$model" ]; then
    text=$root/tests/data/en-de
    "$python" "$here/make_shipped.py" "$model" "$text/test.en" "$text/goldens.jsonl"
    "$python" "$here/make_spm_golden.py" "$model/source.spm" "$text/test.en" "$text/test.de" "$root/tests/data/text/spm_golden.tsv"
else
    echo "skipped: $model is not there; the goldens that need it stay as they are"
fi
