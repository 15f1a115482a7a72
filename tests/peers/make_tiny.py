"""Makes tests/data/goldens/tiny-*: models saved by transformers, forced logits, greedy and beam search."""
import argparse
import random
from pathlib import Path

import numpy as np
import torch
from transformers import MarianMTModel

import golden_files
import tiny_models
import transformers_peer
from marian_f64 import Marian
from reference_search import Options, forced, translate

# name: beam, n-best, length penalty, stop rule
SEARCHES = {
    "greedy": (1, 1, 1.0, "count"), "beam4": (4, 1, 1.0, "count"), "beam2-lp0.6": (2, 1, 0.6, "count"),
    "beam4-nbest3": (4, 3, 1.0, "count"), "beam4-nbest4-bound": (4, 4, 1.0, "bound"),
    "beam3-lp2-bound": (3, 1, 2.0, "bound"),
}
MIN_GAP = 1e-4              # decisions closer than this are float32 noise and no golden
NOTE = ("made by transformers in float32; sources hold their end token, targets do not; logits.f32 holds little-endian "
        "f32 rows [target + 1, columns] at logits_offset elements, the last column (pad) not to be compared; "
        "target_logprobs end with the end token; searches without a near-tie only")
LOGIT_TOLERANCE = 1e-4
SCORE_TOLERANCE = 1e-5


def reference_options(search, max_length):
    beam, n_best, penalty, stop = SEARCHES[search]
    return Options(beam=beam, n_best=n_best, length_penalty=penalty, stop=stop, min_length=0, max_length=max_length)


def check(found, expected, case):
    for one, other in zip(found, expected, strict=True):
        assert one["ids"] == other.tokens and one["finished"] == other.finished, (case, one, other)
        assert abs(one["score"] - other.score) < SCORE_TOLERANCE, (case, one["score"], other.score)


def searches(model, reference, source, tokens_of, counts):
    """Results of the peer that the reference confirms, without the near-ties."""
    results = {}
    for name, (beam, n_best, penalty, stop) in SEARCHES.items():
        found = transformers_peer.translate(model, source, tiny_models.MAX_NEW_TOKENS, beam, n_best, penalty,
                                            early_stopping=stop == "count")
        expected, gap, ambiguous = translate(reference, source, reference_options(name, tiny_models.MAX_NEW_TOKENS))
        if gap < MIN_GAP or ambiguous:
            counts["dropped"] += 1
            continue
        check(found, expected, (name, source))
        counts["kept"] += 1
        results[name] = [{"ids": h["ids"], "tokens": tokens_of(h["ids"]), "score": round(h["score"], 6),
                          "finished": h["finished"]} for h in found]
    return results


def make(name, out):
    directory = Path(out) / name
    directory.mkdir(parents=True, exist_ok=True)
    tiny_models.save(tiny_models.build(name), name, directory)
    model = MarianMTModel.from_pretrained(directory, dtype=torch.float32).eval()
    reference = Marian(directory)
    draw = random.Random(tiny_models.SEED)
    counts, cases, logits = {"kept": 0, "dropped": 0}, [], []
    worst, offset = 0.0, 0

    def tokens_of(ids):
        return [reference.target_vocabulary[i] for i in ids]

    for words in tiny_models.sources(name):
        source = reference.source_ids(words) + [reference.end_id]
        target = [draw.randrange(1, reference.pad_id) for _ in range(draw.randint(1, 10))]
        rows = transformers_peer.forced_logits(model, source, target)
        logprobs, expected = forced(reference, source, target)
        difference = np.delete(rows - expected, reference.pad_id, 1)    # pad's -1e4 has no digits left to compare
        worst = max(worst, float(np.abs(difference).max()))
        logits.append(rows.astype("<f4"))
        cases.append({
            "source": words + ["</s>"], "source_ids": source, "target": tokens_of(target), "target_ids": target,
            "target_logprobs": [round(p, 6) for p in logprobs], "logits_offset": offset, "logits_rows": len(rows),
            "searches": searches(model, reference, source, tokens_of, counts)})
        offset += rows.size
    assert worst < LOGIT_TOLERANCE, worst
    np.concatenate([r.ravel() for r in logits]).tofile(directory / "logits.f32")
    names = ("beam", "n_best", "length_penalty", "stop")
    golden_files.write(directory / "goldens.json", {
        "note": NOTE, "max_length": tiny_models.MAX_NEW_TOKENS, "min_length": 0, "columns": logits[0].shape[1],
        "searches": {k: dict(zip(names, v)) for k, v in SEARCHES.items()}}, cases)
    print(f"{name}: {counts['kept']} searches kept, {counts['dropped']} near-ties dropped, "
          f"largest logit difference from float64 {worst:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="directory of the goldens")
    parser.add_argument("names", nargs="*", default=sorted(tiny_models.SHAPES))
    arguments = parser.parse_args()
    for name in arguments.names or sorted(tiny_models.SHAPES):
        make(name, arguments.out)


if __name__ == "__main__":
    main()
