#!/usr/bin/env bash
# build.sh [--quiet] [heddle|all] [-DNAME=VALUE...] - installs what is missing, then builds into build/.
#
#   heddle   the program alone (build/heddle)
#   all      also the libraries, build/tests/* and build/bench/* (the default)
#   -D...    options of CMakeLists.txt, as cmake takes them
#
# --quiet keeps the compiler's progress in build/build.log and prints it only when the build fails.
# Exit: 0 built; 1 the build failed; 2 wrong usage; 3 something that cannot be done without is not installed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

quiet=no what=all options=()
for argument in "$@"; do
    case $argument in
        --quiet) quiet=yes ;;
        heddle | all) what=$argument ;;
        -D*) options+=("$argument") ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "build.sh: unknown argument '$argument'; say heddle, all or -DNAME=VALUE" >&2; exit 2 ;;
    esac
done

groups=(heddle) targets=(heddle_program)
if [ "$what" = all ]; then
    groups+=(tests)
    targets=(all)
fi
HEDDLE_SAID_FILE=build/.said
need_packages "${groups[@]}" || exit $?

# A tree that was moved, or a package that came or went, needs a new look; anything else the build tool sees itself.
generator="Unix Makefiles"
if command -v ninja >/dev/null; then generator=Ninja; fi
if [ -f build/CMakeCache.txt ]; then
    if grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" build/CMakeCache.txt; then
        generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' build/CMakeCache.txt)
    else
        rm -rf build/CMakeCache.txt build/CMakeFiles build/.configured-*
    fi
fi
configure=(cmake -S . -B build -G "$generator" "${options[@]}")
build() {
    local state="${configure[*]} $packages_state"
    if [ ! -f build/CMakeCache.txt ] || [ "$(cat "build/.configured-$what" 2>/dev/null)" != "$state" ]; then
        "${configure[@]}" || return 1
        echo "$state" >"build/.configured-$what"
    fi
    cmake --build build --parallel "$(nproc)" --target "${targets[@]}"
}

mkdir -p build
if [ "$quiet" = no ]; then
    build || { echo "build.sh: the build failed" >&2; exit 1; }
elif ! build >build/build.log 2>&1; then
    cat build/build.log >&2
    echo "build.sh: the build failed" >&2
    exit 1
fi
