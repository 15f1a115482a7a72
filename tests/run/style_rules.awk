# style_rules.awk -v file=PATH - the rules for one C, C++ or CUDA file. Prints "file:line: rule: what".

# Takes comments out; with_strings = 0 blanks what stands between quotes too. in_comment carries over lines.
function strip(line, with_strings,    out, i, n, c, two, quote)
{
    n = length(line)
    out = ""
    quote = ""
    for (i = 1; i <= n; i++) {
        c = substr(line, i, 1)
        two = substr(line, i, 2)
        if (in_comment) {
            if (two == "*/") { in_comment = 0; i++ }
        } else if (quote != "") {
            if (c == "\\") { if (with_strings) out = out two; i++; continue }
            if (with_strings || c == quote) out = out c
            if (c == quote) quote = ""
        } else if (two == "/*") {
            in_comment = 1
            i++
            out = out " "
        } else if (two == "//") {
            break
        } else {
            if (c == "\"" || c == "'") quote = c
            out = out c
        }
    }
    return out
}

function offend(rule, what) { print file ":" NR ": " rule ": " what }

# `pattern` as a whole word of `text`.
function has_word(text, pattern) { return (" " text " ") ~ ("[^A-Za-z0-9_](" pattern ")[^A-Za-z0-9_]") }

# A call of a plain function; a member of that name is somebody's hook.
function calls(text, pattern) { return (" " text) ~ ("[^A-Za-z0-9_.>](" pattern ")[ ]*\\(") }

function starts(prefix) { return index(file, prefix) == 1 }

# Folders of host/ that `file` must not include, as a pattern; calls go down only.
function forbidden_rooms()
{
    if (starts("host/base/")) return "formats|text|model|runtime|device|cpu|cli|server"
    if (starts("host/formats/")) return "model|runtime|device|cpu|cli|server"
    if (starts("host/text/")) return "model|runtime|device|cpu|cli|server"
    if (starts("host/cpu/")) return "formats|text|model|runtime|device|cli|server"
    if (starts("host/device/")) return "formats|text|model|runtime|cli|server"
    if (starts("host/model/")) return "runtime|cpu|cli|server"
    if (starts("host/runtime/")) return "cpu|cli|server"
    return ""
}

function check_include(text,    name, angled)
{
    name = text
    sub(/^[ ]*#[ ]*include[ ]*/, "", name)
    angled = substr(name, 1, 1) == "<"
    name = substr(name, 2)
    sub(/[>"].*/, "", name)

    if (starts("host/") && name ~ /(^|\/)kernels\/|cuda/) offend("include", "host knows no CUDA: " name)
    if (starts("kernels/") && name ~ /^(host|base|formats|text|model|runtime|device|cpu|cli)\//)
        offend("include", "kernels know no host: " name)
    if (starts("include/heddle/") && (!angled || (name ~ /\// && name !~ /^heddle\//)))
        offend("include", "public headers know libc and each other, in angle brackets: " name)
    if (rooms != "" && !angled && name ~ ("^(" rooms ")/")) offend("include", "calls go down only: " name)
    if ((starts("host/formats/") || starts("host/text/")) && name ~ /^heddle\/(device|backend|translator)\.h$/)
        offend("include", "formats and text know no device: " name)
    if ((starts("host/cli/") || starts("host/server/") || starts("bench/") || starts("examples/")) && !angled &&
        name ~ /^(base|formats|text|model|runtime|device|cpu)\//)
        offend("include", "programs know public headers only: " name)
}

BEGIN {
    library = starts("host/") && !starts("host/cli/") && !starts("host/server/")
    ours = starts("host/") || starts("include/") || starts("kernels/")
    rooms = forbidden_rooms()
    is_guard = file ~ /\.(h|cuh)$/
    longest = starts("kernels/") ? 120 : 60
    base = file
    sub(/.*\//, "", base)
}

NR <= 2 && index($0, base " - ") { opened = 1 }
NR <= 24 { head = head " " $0 }

{
    was = in_comment
    with_strings = strip($0, 1)
    in_comment = was
    code = strip($0, 0)
}

with_strings ~ /^[ ]*#[ ]*include/ { check_include(with_strings) }

(starts("host/model/") || starts("host/runtime/")) {
    if (with_strings ~ /"(cpu|cuda|simt)(:[0-9]*)?"/ || has_word(code, "HDL_DEVICE_(CPU|CUDA|SIMT)"))
        offend("device-name", "model and runtime hold no device name")
    if (code ~ /^[ ]*#[ ]*(if|elif)/ && !(is_guard && code ~ /^#ifndef HEDDLE_[A-Z0-9_]*_H[ ]*$/))
        offend("ifdef", "model and runtime hold no conditional compilation")
}

library || starts("kernels/") {
    if (calls(code, "printf|fprintf|vprintf|vfprintf|dprintf|puts|fputs|putchar|fputc|perror|exit|_exit|quick_exit|abort") ||
        has_word(code, "stdout|stderr"))
        offend("print", "the library never prints, exits or aborts")
}

library && file != "host/base/memory.c" {
    if (calls(code, "malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign|getline"))
        offend("allocation", "memory comes from host/base/memory.h")
}

(library || starts("kernels/")) && file != "kernels/library.cu" && calls(code, "getenv|secure_getenv") {
    offend("environment", "the library reads no environment variable; kernels/library.cu reads CUDA_HOME")
}

ours && code ~ /^[ ]*#[ ]*define[ ]+[A-Za-z_0-9]+\(/ {
    name = code
    sub(/^[ ]*#[ ]*define[ ]+/, "", name)
    sub(/\(.*/, "", name)
    if (name !~ /^(X|HDL_CHECK|HDL_TRY|HDL_[A-Z0-9_]+_MAP|HDL_[A-Z0-9_]+_INIT)$/)
        offend("macro", "a function-like macro, " name "; a function says it better")
}

has_word($0, "TO[D]O|FIX[M]E|X[X]X|HA[C]K") { offend("word", "work left over belongs to an issue") }

# tests/run/kernel_lines.py reads these marks, and finds those that are no longer true.
starts("kernels/") && /not run on the stand-in/ && !/\/\/ not run on the stand-in: [^ ]+ [^ ]/ {
    offend("mark", "a line that is not run says why: // not run on the stand-in: REASON")
}

ours && file != "kernels/ptx.cuh" && has_word(code, "asm|__asm|__asm__") {
    offend("assembly", "raw instructions live in kernels/ptx.cuh")
}

# Functions of ours open and close in the first column.
ours && /^\{/ { began = NR }
ours && /^\}/ {
    if (began && NR - began - 1 > longest) offend("function-length", NR - began - 1 " lines, " longest " allowed")
    began = 0
}

END {
    NR = 1
    if (!opened) offend("opening", "the file does not open with \"" base " - its job\"")
    if (file ~ /\.cu$/) {
        n = split("Contract Reference Source Mapping Numerics Bound", words, " ")
        for (i = 1; i <= n; i++) if (!has_word(head, words[i])) offend("note", "the opening note lacks " words[i])
    }
}
