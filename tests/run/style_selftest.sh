#!/usr/bin/env bash
# style_selftest.sh - check_style.sh must find one offence of each kind in a tree made for it, and none in a clean one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0 failed=0

# add FILE: standard input becomes a file of the tree.
add() {
    mkdir -p "$tree/$(dirname "$1")"
    cat >"$tree/$1"
}

verdict() {
    if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$2"; fi
}

# expect FILE LINE RULE TEXT: the file, with TEXT as its content below an opening line, breaks RULE at LINE and nothing else.
expect() {
    local file=$1 line=$2 rule=$3 found
    printf '/* %s - made to offend. */\n%s\n' "$(basename "$file")" "$4" | add "$file"
    found=$("$here/../check_style.sh" "$tree" | grep -v ' passed, ' || true)
    if [ "$(echo "$found" | wc -l)" = 1 ] && [[ $found == "$file:$line: $rule: "* ]]; then
        verdict ok
    else
        verdict bad "expected $file:$line: $rule, found: $found"
    fi
    rm "$tree/$file"
}

add host/base/clean.c <<'TEXT'
/* clean.c - nothing wrong here: printf( and malloc( in a comment, and // "quoted" text. */
#include "base/clean.h"

#include <stdlib.h>

const char *clean_text(void) { return "TO DO: printf(exit) /* not a comment"; }

void clean_hook(struct hooks *hooks) { hooks->free(snprintf_like(hooks)); }
TEXT
add host/runtime/guard.h <<'TEXT'
/* guard.h - an include guard is no conditional compilation. */
#ifndef HEDDLE_HOST_GUARD_H
#define HEDDLE_HOST_GUARD_H
#endif
TEXT
if [ "$("$here/../check_style.sh" "$tree" | tail -n 1 | grep -c ', 0 failed')" = 1 ]; then
    verdict ok
else
    verdict bad "a clean tree offends: $("$here/../check_style.sh" "$tree" || true)"
fi

slash=/        # so that this file does not offend itself
expect host/base/up.c 2 include '#include "model/weights.h"'
expect host/cpu/up_cpu.c 2 include '#include "runtime/queue.h"'
expect host/formats/knows.c 2 include '#include <heddle/device.h>'
expect host/text/knows_text.c 2 include '#include "cpu/cpu_backend.h"'
expect host/cli/inside.c 2 include '#include "base/status.h"'
expect host/device/cuda_door.c 2 include '#include <cuda_runtime.h>'
expect kernels/inside.cuh 2 include '#include "host/base/status.h"'
expect include/heddle/quoted.h 2 include '#include "base.h"'
expect include/heddle/system.h 2 include '#include <sys/mman.h>'
expect bench/bench_inside.c 2 include '#include "cpu/cpu_backend.h"'
expect host/model/names.c 2 device-name 'static const char *device = "cuda:1";'
expect host/runtime/kind.c 2 device-name 'static int kind = HDL_DEVICE_CPU;'
expect host/runtime/conditional.c 2 ifdef '#ifdef NDEBUG
#endif'
expect host/base/prints.c 2 print 'static void say(void) { printf("x"); }'
expect host/base/stops.c 2 print 'static void stop(void) { abort(); }'
expect host/text/allocates.c 2 allocation 'static void *take(void) { return malloc(4); }'
expect host/text/reads.c 2 environment 'static const char *home(void) { return getenv("HOME"); }'
expect kernels/reads_too.cuh 2 environment 'inline const char *home() { return getenv("HOME"); }'
expect host/base/macro.c 2 macro '#define MIN(a, b) ((a) < (b) ? (a) : (b))'
expect host/base/left.c 2 word "/* TO""DO: later */"
expect host/base/raw.c 2 assembly 'static void raw(void) { __asm__("nop"); }'
expect kernels/marked.cuh 2 mark 'inline void old() { return; }     // not run on the stand-in'
expect host/base/machine.c 2 machine-path "static const char *where = \"${slash}home${slash}someone\";"
expect host/base/tabs.c 2 space "$(printf 'int tab;\t/* after a tab */')"
expect host/base/trailing.c 2 space 'int trailing; '
expect host/base/long.c 65 function-length "$(printf 'static void run(void)\n{\n'; yes '    ;' | head -n 61)
}
/* the end */"
expect host/base/endless.c 401 file-length "$(yes '/* . */' | head -n 400)"
expect host/model/clean.c 1 file-name 'int twice;'
expect scripts/fast.cmake 2 fast-math "set(flags -O2 -fmarch -m""arch=native)"

printf '#include <stddef.h>\n' | add host/base/silent.c
case $("$here/../check_style.sh" "$tree" || true) in
    "host/base/silent.c:1: opening: "*) verdict ok ;;
    *) verdict bad "a file without its opening line passes" ;;
esac
rm "$tree/host/base/silent.c"
printf '// lone.cu - Contract Reference Source Mapping Numerics\n' | add kernels/lone.cu
case $("$here/../check_style.sh" "$tree" || true) in
    "kernels/lone.cu:1: note: the opening note lacks Bound"*) verdict ok ;;
    *) verdict bad "a .cu without its note passes" ;;
esac

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
