#!/usr/bin/env python3
"""kernel_lines.py OBJECTS [ROOT] - the lines of kernels/ that no test of the stand-in has reached.

OBJECTS is the folder of the kernels' objects in a coverage build (gcc's .gcno and .gcda files). Every line with code must have run, in
some instance of its template, and every instance of a function must have been entered. A line that cannot run there says so and why:

    return HDL_ENOSUPPORT;      // not run on the stand-in: it is always of compute capability 9.0

Alone on the line above a function the mark is of the whole function. A mark without a reason, or of what ran or has no code, is a failure
too, and so is a .cu file that is not in the build. Closes with "N passed, N failed", counted in files.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys

# Files that another one stands for in this build.
LEFT_OUT = {"gemm_no_library.cu": "it stands for cuBLASLt where cublasLt.h is missing"}
MARK = re.compile(r"//\s*not run on the stand-in\b:?\s*(.*)$")


def records(objects, folder):
    """What gcov says of each object, those that no test has loaded included."""
    # A folder that was built before may hold notes of sources that are gone.
    notes = [note for note in sorted(pathlib.Path(objects).rglob("*.gcno")) if (folder / note.stem).exists()]
    if not notes:
        sys.exit(f"kernel_lines.py: no .gcno of kernels/ below {objects}: is it a coverage build?")
    for note in notes:
        said = subprocess.run(["gcov", "--json-format", "--stdout", str(note)], check=True, capture_output=True, text=True)
        yield from json.loads(said.stdout)["files"]


def counts(objects, folder):
    """{file: {line: most runs}} and {file: {(first line, last line, name): most entries}} over all objects: a header is in many."""
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    functions = collections.defaultdict(lambda: collections.defaultdict(int))
    for record in records(objects, folder):
        path = pathlib.Path(record["file"]).resolve()
        if path.parent != folder:
            continue
        for line in record["lines"]:
            number = line["line_number"]
            lines[path.name][number] = max(lines[path.name][number], line["count"])
        for function in record["functions"]:
            name = function["demangled_name"].replace("(anonymous namespace)::", "").replace("hdl::", "")
            place = (function["start_line"], function["end_line"], name)
            functions[path.name][place] = max(functions[path.name][place], function["execution_count"])
    return lines, functions


def offences(path, lines, functions):
    """(line, what) of one file, in any order."""
    text = path.read_text().splitlines()
    if lines and max(lines) > len(text):
        yield len(text), "has changed since it was compiled"
        return
    marks = {number: found.group(1) for number, line in enumerate(text, 1) if (found := MARK.search(line))}
    entered = {first: False for first, _, _ in functions}
    for (first, _, _), runs in functions.items():
        entered[first] = entered[first] or runs > 0
    excused = {number for number in lines if number in marks}
    for first, last, _ in functions:
        if first - 1 in marks and not entered[first]:
            excused.update(range(first, last + 1))
    for number, reason in marks.items():
        if number not in lines and number + 1 in entered:
            if entered[number + 1]:
                yield number, "is marked as not run, and ran"
            elif not reason:
                yield number, "is marked as not run without a reason"
        elif number not in lines:
            yield number, "is marked as not run, and holds no code of the stand-in's build"
        elif lines[number] > 0:
            yield number, "is marked as not run, and ran"
        elif not reason:
            yield number, "is marked as not run without a reason"
    for number, runs in lines.items():
        if runs == 0 and number not in excused:
            yield number, f"did not run: {text[number - 1].strip()}"
    for (number, _, name), runs in functions.items():
        if runs == 0 and number not in excused:
            yield number, f"was never entered: {name}"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: kernel_lines.py OBJECTS [ROOT]")
    root = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else pathlib.Path(__file__).parent.parent.parent
    folder = root.resolve() / "kernels"
    lines, functions = counts(sys.argv[1], folder)
    passed = failed = 0
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".cu", ".cuh", ".h"):
            continue
        if path.suffix == ".cu" and path.name not in lines:
            print(f"kernels/{path.name}: not in this build: {LEFT_OUT.get(path.name, 'nobody has said why')}")
            failed += path.name not in LEFT_OUT
            continue
        found = sorted(set(offences(path, lines.get(path.name, {}), functions.get(path.name, {}))))
        for number, what in found:
            print(f"kernels/{path.name}:{number}: {what}")
        passed, failed = passed + (not found), failed + bool(found)
    n_lines = sum(len(of_file) for of_file in lines.values())
    n_functions = sum(len(of_file) for of_file in functions.values())
    print(f"kernels/: {n_lines} lines with code, {n_functions} functions and instances of templates")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
