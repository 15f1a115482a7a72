"""Makes tests/data/goldens/options.json: every decoding option on the tiny models, from the float64 reference."""
import argparse
import json
import math
import random
from dataclasses import fields, replace
from pathlib import Path

import golden_files
import option_cases
from marian_f64 import Marian
from option_cases import BASE
from reference_search import forced, translate

SEED = 7
MODELS = ("tiny-a", "tiny-b", "tiny-c", "tiny-d", "tiny-e")
MIN_GAP = 2e-4              # nearest decision in any kept case: float32 noise is a hundredth of it
MIN_EFFECT = 1e-3           # an option must change the tokens or a score by this much
CASES_PER_ROW = 2           # for each beam
NOT_STORED = ("late_end", "alternatives_mask_end", "allowed")
NOTE = ("made by reference_search.py in float64; sources hold their end token, hypotheses neither start nor end; "
        "logprobs end with the end token's when finished is end; options not named have the base's values; gap is the "
        "nearest decision")


def differs(one, other):
    return len(one) != len(other) or any(
        a.tokens != b.tokens or a.finished != b.finished or abs(a.score - b.score) > MIN_EFFECT
        for a, b in zip(one, other))


def solve(model, source, options):
    """The result, or None where a decision is too close or the definition leaves a choice."""
    found, gap, ambiguous = translate(model, source, options)
    if gap < MIN_GAP or ambiguous or any(model.end_id in h.tokens for h in found):
        return None, gap
    if options.prefix or options.alternatives:
        if differs(found, translate(model, source, replace(options, late_end="drop"))[0]):
            return None, gap
    return found, gap


def hard_alignment(hypothesis):
    """Argmax of each row, or None where two columns are too close."""
    columns = []
    for row in hypothesis.alignment:
        best, second = sorted(row, reverse=True)[:2] if len(row) > 1 else (row[0], -1)
        if best - second < MIN_GAP:
            return None
        columns.append(int(row.argmax()))
    return columns


def stored(model, hypothesis, with_alignment):
    entry = {"ids": hypothesis.tokens, "tokens": [model.target_vocabulary[i] for i in hypothesis.tokens],
             "logprobs": [round(p, 6) for p in hypothesis.logprobs], "score": round(hypothesis.score, 6),
             "finished": hypothesis.finished}
    if with_alignment:
        entry["alignment"] = [[round(float(p), 5) for p in row] for row in hypothesis.alignment]
        entry["hard"] = hard_alignment(hypothesis)
    return entry


def named(model, options):
    """The options that are not the base's, tokens as strings."""
    words = model.target_vocabulary
    result = {"beam": options.beam}
    for item in fields(options):
        value = getattr(options, item.name)
        if item.name in NOT_STORED or value == getattr(BASE, item.name):
            continue
        if item.name in ("prefix", "end_tokens"):
            value = [words[i] for i in value]
        elif item.name == "suppress":
            value = [[words[i] for i in sequence] for sequence in value]
        result[item.name] = value
    if options.allowed is not None:
        result["vocab_map"] = "vmap.txt"
    return result


def case(name, model, source, label, options, found, gap, with_alignment=False):
    return {"model": name, "label": label, "options": named(model, options),
            "source": [model.source_vocabulary[i] for i in source], "gap": None if math.isinf(gap) else round(gap, 5),
            "hypotheses": [stored(model, h, with_alignment) for h in found]}


def inputs(models):
    """Every source of every model, in an order that visits the models in turn."""
    goldens = {name: golden_files.read(models[name][1] / "goldens.json")["cases"] for name in MODELS}
    for i in range(len(goldens[MODELS[0]])):
        for name in MODELS:
            yield name, models[name][0], goldens[name][i]["source_ids"]


def option_rows(models):
    """(label, beam, options, name, model, source) for every row of the table and every input."""
    draw = random.Random(SEED)
    everything = list(inputs(models))
    for label, beams, changes in option_cases.PLAIN:
        draw.shuffle(everything)
        for entry in everything:
            for beam in beams:
                yield label, replace(BASE, beam=beam, **changes), entry
    draw.shuffle(everything)
    for entry in everything:
        for label, beams, changes in option_cases.drawn(entry[1], entry[2], draw):
            for beam in beams:
                yield label, replace(BASE, beam=beam, **changes), entry


def without(options):
    """What the option is compared with: the base of the same width and list."""
    plain = replace(BASE, beam=options.beam, n_best=options.n_best)
    return plain if plain != options else replace(plain, n_best=1)


def search_cases(models):
    counts, cases, base = {}, [], {}
    for label, options, (name, model, source) in option_rows(models):
        key = (label, options.beam)
        if counts.get(key, 0) == CASES_PER_ROW:
            continue
        plain = without(options)
        if (plain, name, tuple(source)) not in base:
            base[plain, name, tuple(source)] = translate(model, source, plain)[0]
        found, gap = solve(model, source, options)
        if found and differs(found, base[plain, name, tuple(source)]):
            counts[key] = counts.get(key, 0) + 1
            cases.append(case(name, model, source, label, options, found, gap))
    rows = {(label, options.beam) for label, options, _ in option_rows(models)}
    for key in sorted(rows):
        if counts.get(key, 0) < CASES_PER_ROW:
            print(f"only {counts.get(key, 0)} cases of {key}")
    return cases


def vocabulary_map_cases(models):
    cases = []
    for name in ("tiny-a", "tiny-c"):
        model, directory = models[name]
        draw = random.Random(SEED)
        sources = [c["source_ids"] for c in golden_files.read(directory / "goldens.json")["cases"]]
        always, single = option_cases.vocabulary_rules(model, draw)
        heads = [tuple(s[i:i + 2]) for s in sources[2:] for i in (0, len(s) // 2 - 1)]
        pairs = {pair: sorted(draw.sample(range(2, model.pad_id), 2)) for pair in heads}
        (directory / "vmap.txt").write_text(option_cases.rules_text(model, always, single, pairs))
        for i, source in enumerate(sources[2:9]):
            options = replace(BASE, beam=(1, 2, 4, 5)[i % 4], n_best=1 + (i % 4 > 1),
                              allowed=option_cases.allowed_ids(model, source, always, single, pairs))
            found, gap = solve(model, source, options)
            if found:
                cases.append(case(name, model, source, "vocab_map", options, found, gap))
    return cases


def empty_cases(models):
    """Sources of nothing but the end token: the model is not run."""
    model = models["tiny-a"][0]
    source, rows = [model.end_id], [{"beam": 1}, {"beam": 4, "n_best": 3}, {"beam": 4, "prefix": (5, 9)},
                                    {"beam": 2, "prefix": (5, 9, 3), "max_length": 2}]
    return [case("tiny-a", model, source, "empty source", options, *translate(model, source, options)[:2])
            for options in (replace(BASE, **row) for row in rows)]


def alignment_cases(models):
    """Alignments and what --replace-unknowns makes of them."""
    cases = []
    for name, (model, directory) in models.items():
        for entry in golden_files.read(directory / "goldens.json")["cases"][3:9]:
            source, options = entry["source_ids"], replace(BASE, beam=1 + 3 * (len(entry["source_ids"]) % 2))
            found, gap = solve(model, source, options)
            if not found or not found[0].tokens or hard_alignment(found[0]) is None:
                continue
            result = case(name, model, source, "alignment", options, found, gap, with_alignment=True)
            hypothesis = result["hypotheses"][0]
            hypothesis["replaced"] = [result["source"][column] if token == "<unk>" else token
                                      for token, column in zip(hypothesis["tokens"], hypothesis["hard"])]
            if "</s>" not in hypothesis["replaced"]:
                cases.append(result)
    return cases


def forced_cases(models):
    """Scores of given targets: sum, score by the length penalty, perplexity."""
    cases = []
    for name, (model, directory) in models.items():
        for entry in golden_files.read(directory / "goldens.json")["cases"][1:9:3]:
            for target in (entry["target_ids"], []):
                logprobs, _ = forced(model, entry["source_ids"], target)
                total = sum(logprobs)
                cases.append({
                    "model": name, "label": "forced", "source": entry["source"],
                    "target": [model.target_vocabulary[i] for i in target], "logprobs": [round(p, 6) for p in logprobs],
                    "sum": round(total, 6), "perplexity": round(math.exp(-total / len(logprobs)), 5),
                    "scores": {str(a): round(total / len(logprobs) ** a, 6) for a in (0.0, 0.6, 1.0)}})
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("goldens", type=Path, help="directory that holds the tiny models")
    goldens = parser.parse_args().goldens
    models = {name: (Marian(goldens / name), goldens / name) for name in MODELS}
    cases = search_cases(models) + vocabulary_map_cases(models) + empty_cases(models) + alignment_cases(models)
    cases += forced_cases(models)
    base = {k: v for k, v in json.loads(json.dumps(BASE.__dict__)).items() if k not in NOT_STORED}
    golden_files.write(goldens / "options.json", {"note": NOTE, "base": base}, cases)
    print(f"{len(cases)} cases, nearest decision {min(c['gap'] for c in cases if c.get('gap')):.1e}")


if __name__ == "__main__":
    main()
