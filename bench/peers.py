"""Heddle beside ctranslate2: the same models, the same tokens, alternating runs; speed, memory, first translation.

python3 bench/peers.py [--quick] [--models shipped,base] [--beams 1,4] [--threads 1,2] [--computes f32,bf16,int8]

Needs build/heddle and the virtual environment of tests/peers/make.sh. Each run is a process of its own. ctranslate2
gets the fastest of several batch settings, found before the runs that count. A ratio over 1 means that heddle is
faster; memory is the peak of the run less that of an idle process (the package imported; `heddle version`).
"""
import argparse
import fcntl
import hashlib
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
CT2_COMPUTE = {"f32": "float32", "int8": "int8"}    # it has no bf16 on processors
# model: lines of the text (0: all; the second for --quick), min-length, max-length
LIMITS = {"shipped": ((0, 200), 0, 100), "base": ((0, 24), 26, 26)}
BATCHES = {"shipped": (("examples", 16), ("examples", 32), ("examples", 64), ("examples", 128), ("tokens", 1024)),
           "base": (("examples", 16), ("examples", 32), ("examples", 64))}
QUICK_BATCHES = (("examples", 64),)
PIPE_BYTES = 4096
BUSY_LOAD = 0.3             # others' work on the same cores shows in every figure


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heddle", type=Path, default=ROOT / "build" / "heddle")
    parser.add_argument("--venv", type=Path, default=ROOT / "build" / "peers-venv")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "peers", help="where converted models are kept")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "en-de", help="the shipped model")
    parser.add_argument("--text", type=Path, default=ROOT / "tests" / "data" / "en-de" / "test.en")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "peers.json")
    parser.add_argument("--quick", action="store_true", help="few lines, one batch setting, three runs")
    parser.add_argument("--runs", type=int, default=0, help="runs of each system in a row (default 5, quick 3)")
    parser.add_argument("--only", choices=("heddle", "ctranslate2"), help="measure one system alone")
    for name, default in (("models", "shipped,base"), ("beams", "1,4"), ("threads", "1,2"), ("computes", "f32,int8")):
        parser.add_argument(f"--{name}", type=lambda text: text.split(","), default=default.split(","))
    chosen = parser.parse_args()
    for compute in chosen.computes:
        if chosen.only == "ctranslate2" and compute not in CT2_COMPUTE:
            parser.error(f"--only ctranslate2 with --computes {compute}: it has {', '.join(CT2_COMPUTE)}")
    chosen.runs = chosen.runs or (3 if chosen.quick else 5)
    return chosen


class Bench:
    def __init__(self, chosen):
        self.chosen = chosen
        self.python = chosen.venv / "bin" / "python"
        self.folder = tempfile.TemporaryDirectory()
        self.convert()

    def convert(self):
        """Both models for the peer; again when the shipped model, the text or the way has changed."""
        made_from, state = self.chosen.work / "made-from.sha256", hashlib.sha256()
        ways = [HERE / "peers_models.py", *(ROOT / "tests" / "peers" / f for f in ("ctranslate2_peer.py", "marian_f64.py"))]
        for path in [*sorted(self.chosen.model.iterdir()), self.chosen.text, *ways]:
            state.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
        if made_from.is_file() and made_from.read_text() == state.hexdigest():
            return
        made_from.unlink(missing_ok=True)
        subprocess.run([self.python, HERE / "peers_models.py", self.chosen.work, self.chosen.model, self.chosen.text],
                       check=True)
        made_from.write_text(state.hexdigest())

    def tokens(self, model):
        """The token file of a model, cut for --quick."""
        path, n_lines = self.chosen.work / f"{model}.tokens", LIMITS[model][0][self.chosen.quick]
        if not n_lines:
            return path
        cut = Path(self.folder.name) / path.name
        cut.write_text("".join(path.read_text(encoding="utf-8").splitlines(True)[:n_lines]), encoding="utf-8")
        return cut

    def ctranslate2(self, **job):
        environment = {**os.environ, "OMP_NUM_THREADS": str(job.get("intra_threads", 1))}
        command = [self.python, HERE / "peers_ctranslate2.py", json.dumps(job)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)

    def ctranslate2_job(self, model, beam, compute, setting):
        kind, batch, inter, intra = setting
        return {"do": "run", "model": str(self.chosen.work / f"{model}.ct2.{compute}"), "compute": CT2_COMPUTE[compute],
                "tokens": str(self.tokens(model)), "beam": beam, "min_length": LIMITS[model][1],
                "max_length": LIMITS[model][2], "batch": batch, "batch_type": kind, "inter_threads": inter,
                "intra_threads": intra}

    def best_setting(self, model, beam, compute, threads):
        """The batch and thread split that are fastest for the peer."""
        splits = [(threads, 1)] + ([(1, threads)] if threads > 1 and not self.chosen.quick else [])
        batches = QUICK_BATCHES if self.chosen.quick else BATCHES[model]
        settings = [(*batch, *split) for batch in batches for split in splits]
        if len(settings) == 1:
            return settings[0]
        return min(settings, key=lambda s: self.ctranslate2(**self.ctranslate2_job(model, beam, compute, s))["seconds"])

    def heddle(self, model, beam, compute, threads):
        stats = Path(self.folder.name) / "stats.json"
        directory = self.chosen.model if model == "shipped" else self.chosen.work / model
        _, shortest, longest = LIMITS[model]
        subprocess.run([
            self.chosen.heddle, "translate", directory, "--tokens", "-i", self.tokens(model), "-o", "/dev/null",
            "--stats", stats, "--beam", str(beam), "--length-penalty", "1", "--min-length", str(shortest),
            "--max-length", str(longest), "--threads", str(threads), "--compute", compute, "--split", "never",
            "--quiet"], check=True)
        result = json.loads(stats.read_text())
        return {"seconds": result["seconds"], "target_tokens": result["target_tokens"],
                "peak_bytes": result["peak_memory_bytes"], "stats": result}

    def idle_heddle_bytes(self):
        """Peak of `heddle version`, read while it waits to write into a full pipe."""
        reader, writer = os.pipe()
        capacity = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.write(writer, b" " * capacity)
        with subprocess.Popen([self.chosen.heddle, "version"], stdout=writer) as process:
            os.close(writer)
            status, before = Path(f"/proc/{process.pid}/status").read_text(), ""
            while status != before:         # until it does nothing but wait
                time.sleep(0.2)
                before, status = status, Path(f"/proc/{process.pid}/status").read_text()
            while os.read(reader, PIPE_BYTES):
                pass
            os.close(reader)
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def first_translation_ms(self):
        """From nothing to the first line of the shipped model: a whole process each."""
        line = self.chosen.text.read_text(encoding="utf-8").splitlines()[0] + "\n"
        job = self.ctranslate2_job("shipped", 4, "f32", ("examples", 64, 1, 1))
        found = {"heddle process": [], "ctranslate2 process": [], "ctranslate2 without the interpreter's start": []}
        for _ in range(self.chosen.runs):
            begin = time.perf_counter()
            subprocess.run([self.chosen.heddle, "translate", self.chosen.model], input=line.encode(), check=True,
                           capture_output=True)
            found["heddle process"].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            inside = self.ctranslate2(**{**job, "do": "first"})["seconds"]
            found["ctranslate2 process"].append(time.perf_counter() - begin)
            found["ctranslate2 without the interpreter's start"].append(inside)
        return {name: round(1000 * statistics.median(times), 1) for name, times in found.items()}

    def row(self, model, beam, threads, compute, idle):
        """Alternating runs of both systems; medians."""
        only, runs = self.chosen.only, {"ctranslate2": [], "heddle": []}
        only = only if compute in CT2_COMPUTE else "heddle"
        setting = self.best_setting(model, beam, compute, threads) if only != "heddle" else None
        for _ in range(self.chosen.runs):
            if only != "heddle":
                runs["ctranslate2"].append(self.ctranslate2(**self.ctranslate2_job(model, beam, compute, setting)))
            if only != "ctranslate2":
                runs["heddle"].append(self.heddle(model, beam, compute, threads))
        result = {"model": model, "beam": beam, "threads": threads, "compute": compute, "ctranslate2_setting": setting}
        for name, found in runs.items():
            if found:
                speeds = [r["target_tokens"] / r["seconds"] for r in found]
                memory = statistics.median(r["peak_bytes"] for r in found) - idle[name]
                result[name] = {"tokens_per_second": round(statistics.median(speeds), 1),
                                "slowest": round(min(speeds), 1), "fastest": round(max(speeds), 1),
                                "target_tokens": found[0]["target_tokens"], "memory_mib": round(memory / 2**20, 1)}
        if not only:
            one, other = result["heddle"], result["ctranslate2"]
            result["speed_ratio"] = round(one["tokens_per_second"] / other["tokens_per_second"], 2)
            result["memory_ratio"] = round(one["memory_mib"] / other["memory_mib"], 2)
        return result


def show(result):
    cells = [f"{result['model']:8} {result['beam']:4} {result['threads']:7} {result['compute']:7}"]
    for name in ("heddle", "ctranslate2"):
        entry = result.get(name)
        cells.append(f"{entry['tokens_per_second']:9.0f} {entry['memory_mib']:7.0f}" if entry else " " * 17)
    cells.append(f"{result['speed_ratio']:6.2f} {result['memory_ratio']:7.2f}" if "speed_ratio" in result else "")
    setting = result["ctranslate2_setting"]
    if setting:
        cells.append("{} {}, {}x{}".format(*setting))
    print(" | ".join(cells), flush=True)


def best_of_each(rows):
    """Each system with the compute type that is fastest for it."""
    groups = {}
    for row in rows:
        groups.setdefault((row["model"], row["beam"], row["threads"]), []).append(row)
    found = []
    for (model, beam, threads), group in groups.items():
        if not any("ctranslate2" in row for row in group):
            continue
        best = {name: max((r for r in group if name in r), key=lambda r, n=name: r[n]["tokens_per_second"])
                for name in ("heddle", "ctranslate2")}
        speeds = {name: row[name]["tokens_per_second"] for name, row in best.items()}
        found.append({"model": model, "beam": beam, "threads": threads, **{n: r["compute"] for n, r in best.items()},
                      "speed_ratio": round(speeds["heddle"] / speeds["ctranslate2"], 2)})
    return found


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cores": os.cpu_count(), "load_at_start": os.getloadavg()[0]}


def main():
    chosen = arguments()
    bench = Bench(chosen)
    idle = {"ctranslate2": bench.ctranslate2(do="idle")["peak_bytes"]}
    if chosen.only != "ctranslate2":
        idle["heddle"] = bench.idle_heddle_bytes()
    report = {"machine": machine(), "quick": chosen.quick, "runs": chosen.runs,
              "idle_mib": {name: round(n / 2**20, 1) for name, n in idle.items()}, "rows": []}
    print(f"{report['machine']}\nidle MiB: {report['idle_mib']}")
    if report["machine"]["load_at_start"] > BUSY_LOAD:
        print("the machine is busy: these figures say little")
    print("model    beam threads compute |  heddle tok/s, MiB |  ct2 tok/s, MiB |  speed, memory | "
          "ct2's batch, workers x threads")
    for model in chosen.models:
        for beam in map(int, chosen.beams):
            for threads in map(int, chosen.threads):
                for compute in chosen.computes:
                    report["rows"].append(bench.row(model, beam, threads, compute, idle))
                    show(report["rows"][-1])
    if not chosen.only:
        report["best_of_each"] = best_of_each(report["rows"])
        for row in report["best_of_each"]:
            print(f"best of each: {row['model']} beam {row['beam']} threads {row['threads']}: heddle {row['heddle']}, "
                  f"ctranslate2 {row['ctranslate2']}, ratio {row['speed_ratio']}")
        report["first_translation_ms"] = bench.first_translation_ms()
        print(f"first translation, ms: {report['first_translation_ms']}")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
