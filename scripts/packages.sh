# shellcheck shell=bash
# packages.sh - what a build needs, found by what it can do, installed with apt where that is allowed. Sourced.
#
#   need_packages GROUP...   groups: heddle (library and program), tests, full (what only scripts/test.sh --full uses)
#
# Returns 0 when everything that cannot be done without is there, else 3 after naming it. Sets
# packages_state to a line that changes when something that the build uses comes or goes.

# group | must or nice | check | packages | what goes without it
package_table() {
    cat <<'TABLE'
heddle|must|command cmake|cmake|
heddle|must|command cc|gcc libc6-dev|
heddle|must|command c++|g++|
heddle|must|command pkg-config|pkg-config|
heddle|must|command ninja make|ninja-build|
heddle|must|library jansson|libjansson-dev|
heddle|must|header sentencepiece_processor.h|libsentencepiece-dev|
heddle|must|library libzip|libzip-dev|
heddle|must|library yaml-0.1|libyaml-dev|
heddle|nice|header dnnl.h|libdnnl-dev|no oneDNN: matrix products run in heddle's own loops
tests|must|library criterion|libcriterion-dev|
full|must|command clang|clang|
full|must|fuzzer|libclang-rt-dev|
full|must|command gcovr|gcovr|
full|nice|command shellcheck|shellcheck|scripts are not linted
full|nice|command mandoc|mandoc|man pages are not linted
TABLE
}

have() {
    local kind=$1 name
    shift
    case $kind in
        command)
            for name in "$@"; do command -v "$name" >/dev/null 2>&1 && return 0; done
            return 1 ;;
        library) pkg-config --exists "$1" 2>/dev/null ;;
        header) echo "#include <$1>" | c++ -x c++ -E - >/dev/null 2>&1 ;;
        fuzzer)
            local folder rc=0
            folder=$(mktemp -d)
            echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n ? 0 : 0; }' >"$folder/f.c"
            clang -fsanitize=fuzzer,address "$folder/f.c" -o "$folder/f" >/dev/null 2>&1 || rc=1
            rm -rf "$folder"
            return $rc ;;
    esac
}

# Fills must_missing, nice_missing (packages), nice_lost (lines) and packages_state for the groups given.
find_missing() {
    local group weight check packages lost
    must_missing=() nice_missing=() nice_lost=() packages_state=
    while IFS='|' read -r group weight check packages lost; do
        [[ " $* " == *" $group "* ]] || continue
        # shellcheck disable=SC2086 # a check is a kind and its names
        if have $check </dev/null; then
            packages_state+="$check;"
        elif [ "$weight" = must ]; then
            read -r -a names <<<"$packages"
            must_missing+=("${names[@]}")
        else
            read -r -a names <<<"$packages"
            nice_missing+=("${names[@]}")
            nice_lost+=("$lost")
        fi
    done < <(package_table)
}

# Prints how to become root for apt, or fails: nothing to type when there is nobody to type a password.
find_root() {
    if [ "$(id -u)" = 0 ]; then
        echo env
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
        echo sudo env
    else
        return 1
    fi
}

apt_install() {
    local as_root variable known=() name
    local environment=(DEBIAN_FRONTEND=noninteractive)
    local options=(-o DPkg::Lock::Timeout=600 -q)
    read -r -a as_root < <(find_root) || return 1
    for variable in http_proxy https_proxy ftp_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY NO_PROXY; do
        [ -n "${!variable:-}" ] && environment+=("$variable=${!variable}")
    done
    # The package lists have a lock of their own, which no option waits for.
    apt_update() {
        local try
        for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
            "${as_root[@]}" "${environment[@]}" apt-get "${options[@]}" update >&2 && return 0
            [ "$try" = 12 ] || sleep 10
        done
        return 1
    }
    is_known() { apt-cache show "$1" >/dev/null 2>&1; }

    for name in "$@"; do is_known "$name" || { apt_update; break; }; done
    # A release that lacks a package must not lose the others: the check afterwards tells what is still missing.
    for name in "$@"; do if is_known "$name"; then known+=("$name"); fi; done
    [ ${#known[@]} -gt 0 ] || return 1
    local install=("${as_root[@]}" "${environment[@]}" apt-get "${options[@]}" install -y --no-install-recommends "${known[@]}")
    # Lists that have aged name files that are gone; fresh ones are tried once.
    "${install[@]}" >&2 || { apt_update && "${install[@]}" >&2; }
}

need_packages() {
    find_missing "$@"
    local wanted=("${must_missing[@]}" "${nice_missing[@]}") said=${HEDDLE_SAID_FILE:-/dev/null} line
    [ ${#wanted[@]} -gt 0 ] || return 0

    line="apt-get install -y --no-install-recommends ${wanted[*]}"
    # What can be done without is asked for once: nobody wants to read it at every build.
    if [ ${#must_missing[@]} = 0 ] && [ "$(cat "$said" 2>/dev/null)" = "$line" ]; then
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        echo "heddle: no apt-get on this machine; Debian's names of what is missing: ${wanted[*]}" >&2
    elif find_root >/dev/null; then
        echo "heddle: installing ${wanted[*]}" >&2
        apt_install "${wanted[@]}" || echo "heddle: apt-get could not install all of them" >&2
        hash -r
    else
        echo "heddle: neither root nor sudo; an administrator can install what is missing:" >&2
        echo "    $line" >&2
    fi

    find_missing "$@"
    if [ ${#must_missing[@]} -gt 0 ]; then
        echo "heddle: cannot go on without: ${must_missing[*]}" >&2
        return 3
    fi
    for line in "${nice_lost[@]}"; do echo "heddle: $line" >&2; done
    if [ ${#nice_missing[@]} -gt 0 ] && [ "$said" != /dev/null ]; then
        mkdir -p "$(dirname "$said")"
        echo "apt-get install -y --no-install-recommends ${nice_missing[*]}" >"$said"
    fi
    return 0
}
