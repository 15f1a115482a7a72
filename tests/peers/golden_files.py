"""Golden files: JSON with one case a line, so that a change shows as the lines it changes."""
import json
from pathlib import Path


def write(path, header, cases):
    head = "".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in header.items())
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    Path(path).write_text("{\n" + head + '"cases": [\n' + lines + "\n]}\n", encoding="utf-8")


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))
