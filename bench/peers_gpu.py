"""Heddle beside transformers' generate on one GPU, in one run: one random base model, the same forced lengths, bf16.

python3 bench/peers_gpu.py [--lines N] [--beams 1,4] [--batches 64,256,512] [--out FILE]

Needs torch and transformers with a device that they can use, and bench_translate; without them it says so in one line
and ends with 3. A target has exactly as many tokens as its line of the lengths file says, and an end token: both
systems suppress the end before and force it there, and the peer's answers are checked for it. The peer gets its
sentences sorted by length, in batches of the size that is fastest for it; its figure, like heddle's, is the fastest of
several runs. A token is one token of the best hypothesis, the end token counted once. Text and tokenizers are left out.
"""
import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MISSING = 3                 # exit code: something that is not installed
SEED = 11
END, SPECIAL = 0, 2         # id of the end token; ids below are no words, nor is the last one


def leave(why):
    print(f"peers_gpu: {why}", file=sys.stderr)
    sys.exit(MISSING)


try:
    import torch
    import transformers
    from peers_models import BASE, TINY, base_model
    transformers.utils.logging.disable_progress_bar()
except ImportError as error:
    leave(f"not run: {error}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=ROOT / "build" / "bench" / "bench_translate")
    parser.add_argument("--lengths", type=Path, default=ROOT / "tests" / "data" / "newstest2017-lengths.txt")
    parser.add_argument("--lines", type=int, default=0, help="of the lengths file (default: all)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu is a trial of this program")
    parser.add_argument("--shape", choices=("base", "tiny"), default="base")
    parser.add_argument("--compute", choices=("bf16", "f32"), default="bf16")
    parser.add_argument("--runs", type=int, default=3, help="of the peer (default: 3)")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    for name, default in (("beams", "1,4"), ("batches", "64,256,512")):
        parser.add_argument(f"--{name}", type=lambda text: [int(word) for word in text.split(",")],
                            default=[int(word) for word in default.split(",")])
    return parser.parse_args()


class ForcedLengths(transformers.LogitsProcessor):
    """The end token is impossible before a row's length and all that is possible there."""

    def __init__(self, lengths):
        self.lengths = lengths

    def __call__(self, input_ids, scores):
        due = (input_ids.shape[1] - 1 >= self.lengths).unsqueeze(1)     # the start token is no target token
        ends = torch.zeros_like(scores, dtype=torch.bool)
        ends[:, END] = True
        return torch.where(due & ends, 0.0, scores).masked_fill(due ^ ends, float("-inf"))


class Transformers:
    def __init__(self, chosen, directory, pairs):
        self.device = chosen.device
        dtype = torch.bfloat16 if chosen.compute == "bf16" else torch.float32
        model = transformers.MarianMTModel.from_pretrained(directory)
        self.model = model.to(chosen.device, dtype).eval()
        self.pad = self.model.config.pad_token_id
        draw = random.Random(SEED)
        lines = [([draw.randrange(SPECIAL, self.pad) for _ in range(source)] + [END], n) for source, n in pairs]
        self.lines = sorted(lines, key=lambda line: -len(line[0]))

    def translate_batch(self, batch, beam):
        """Target tokens of the batch, end tokens among them."""
        longest, lengths = len(batch[0][0]), torch.tensor([target for _, target in batch])
        ids = torch.tensor([source + [self.pad] * (longest - len(source)) for source, _ in batch]).to(self.device)
        forced = ForcedLengths(lengths.repeat_interleave(beam).to(self.device))
        answers = self.model.generate(
            ids, attention_mask=ids != self.pad, num_beams=beam, do_sample=False, early_stopping=beam > 1,
            max_new_tokens=int(lengths.max()) + 1, logits_processor=transformers.LogitsProcessorList([forced]))
        ends = (answers[:, 1:] == END).int().argmax(dim=1).cpu()
        if not torch.equal(ends, lengths):
            raise RuntimeError(f"transformers: targets of {ends.tolist()} tokens, forced {lengths.tolist()}")
        return int(lengths.sum()) + len(batch)

    def run(self, beam, batch):
        begin = time.perf_counter()
        with torch.inference_mode():
            tokens = sum(self.translate_batch(self.lines[i:i + batch], beam) for i in range(0, len(self.lines), batch))
        if self.device == "cuda":
            torch.cuda.synchronize()
        return tokens, time.perf_counter() - begin

    def measure(self, beam, batches, runs):
        self.run(beam, batches[0])              # warms up
        batch = min(batches, key=lambda size: self.run(beam, size)[1]) if len(batches) > 1 else batches[0]
        tokens, seconds = min((self.run(beam, batch) for _ in range(runs)), key=lambda found: found[1])
        return {"tokens": tokens, "tokens_per_second": round(tokens / seconds), "batch": batch}


def measure_heddle(chosen, directory, beam):
    command = [chosen.bench, "--device", chosen.device, "--model", directory, "--lengths", chosen.lengths, "--beam",
               str(beam), "--compute", chosen.compute]
    command += ["--threads", "1"] + (["--lines", str(chosen.lines)] if chosen.lines else [])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row = re.search(r"([0-9]+) tokens/s .* tokens ([0-9]+) ", done.stdout)
    if done.returncode != 0 or row is None:
        raise RuntimeError(f"{chosen.bench}: {done.stderr.strip() or done.stdout}")
    last = done.stdout.strip().split("\n")[-1]
    return {"tokens": int(row.group(2)), "tokens_per_second": int(row.group(1)), "row": last}


def main():
    chosen = arguments()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        leave("not run: torch sees no CUDA device")
    if not chosen.bench.exists():
        leave(f"not run: {chosen.bench} is not built")
    pairs = [tuple(map(int, line.split())) for line in chosen.lengths.read_text(encoding="ascii").splitlines()]
    pairs = pairs[:chosen.lines or len(pairs)]
    place = torch.cuda.get_device_name() if chosen.device == "cuda" else "cpu"
    report = {"device": place, "torch": torch.__version__, "transformers": transformers.__version__,
              "shape": chosen.shape, "compute": chosen.compute, "lines": len(pairs), "rows": []}
    print(f"{place}, {chosen.shape}, {chosen.compute}, {len(pairs)} lines; torch {torch.__version__}, "
          f"transformers {transformers.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        base_model(Path(folder), BASE if chosen.shape == "base" else TINY)
        peer = Transformers(chosen, folder, pairs)
        for beam in chosen.beams:
            own = measure_heddle(chosen, folder, beam)
            other = peer.measure(beam, chosen.batches, chosen.runs)
            if own["tokens"] != other["tokens"]:
                raise RuntimeError(f"beam {beam}: unequal work: {own['tokens']} tokens, {other['tokens']}")
            ratio = own["tokens_per_second"] / other["tokens_per_second"]
            report["rows"].append({"beam": beam, "heddle": own, "transformers": other, "ratio": round(ratio, 2)})
            print(f"beam {beam}: heddle {own['tokens_per_second']} tokens/s, transformers {other['tokens_per_second']} "
                  f"tokens/s (batches of {other['batch']}), ratio {ratio:.2f}", flush=True)
    if chosen.out:
        chosen.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
