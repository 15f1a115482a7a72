"""Holds goldens/options.json against ctranslate2 wherever the library offers the option and defines it alike."""
import argparse
from collections import Counter
from pathlib import Path

import golden_files
from ctranslate2_peer import Peer

SCORE_TOLERANCE = 2e-5
# The library's start row is zero by assumption, so tiny-e, whose start row is not, is beyond it.
MODELS = ("tiny-a", "tiny-b", "tiny-c", "tiny-d")


def not_comparable(options):
    """Why a case cannot be compared, or None."""
    if options.get("stop", "count") != "count":
        return "stop rules other than count are not offered"
    if options.get("length_norm"):
        return "gnmt is not offered"
    if "alternatives" in options and options.get("length_penalty", 1.0) != 0:
        return "alternatives: the library divides the continuation alone by its length"
    return None


def peer_options(options, base):
    value = {**base, **options}
    result = {
        "beam_size": value["beam"], "num_hypotheses": value["n_best"], "length_penalty": value["length_penalty"],
        "coverage_penalty": value["coverage_penalty"], "repetition_penalty": value["repetition_penalty"],
        "no_repeat_ngram_size": value["no_repeat_ngram"], "patience": value["patience"],
        "min_decoding_length": value["min_length"], "max_decoding_length": value["max_length"],
        "disable_unk": value["no_unk"], "use_vmap": "vocab_map" in options, "prefix_bias_beta": value["prefix_bias"]}
    if value["suppress"]:
        result["suppress_sequences"] = value["suppress"]
    if value["end_tokens"]:
        result["end_token"] = value["end_tokens"]
    if value["alternatives"]:
        result.update(num_hypotheses=value["alternatives"], return_alternatives=True,
                      min_alternative_expansion_prob=value["min_alternative_prob"])
    return result


def compare(case, found):
    """None when equal, else words."""
    expected = case["hypotheses"]
    if [h["tokens"] for h in found] != [h["tokens"] for h in expected]:
        return "tokens"
    if any(abs(a["score"] - b["score"]) > SCORE_TOLERANCE for a, b in zip(found, expected)):
        return "scores"
    for a, b in zip(found, expected):
        for row, other in zip(a["alignment"], b.get("alignment", [])):
            if max(abs(x - y) for x, y in zip(row, other)) > SCORE_TOLERANCE:
                return "alignment"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("goldens", type=Path)
    parser.add_argument("-v", "--verbose", action="store_true")
    arguments = parser.parse_args()
    goldens = golden_files.read(arguments.goldens / "options.json")
    peers = {}
    for name in MODELS:
        rules = arguments.goldens / name / "vmap.txt"
        peers[name] = Peer(arguments.goldens / name, swap_end=True, rules=rules.read_text() if rules.exists() else None)
    equal, skipped, different = Counter(), Counter(), Counter()
    for case in goldens["cases"]:
        if "hypotheses" not in case or case["model"] not in peers:
            skipped["forced scoring, or a model beyond the library"] += 1
            continue
        options = case["options"]
        reason = not_comparable(options)
        if reason:
            skipped[reason] += 1
            continue
        found = peers[case["model"]].translate(
            case["source"], options.get("prefix"), **peer_options(options, goldens["base"]))
        trouble = compare(case, found)
        (different if trouble else equal)[case["label"]] += 1
        if trouble and arguments.verbose:
            got = [(h["tokens"], round(h["score"], 5)) for h in found]
            want = [(h["tokens"], h["score"]) for h in case["hypotheses"]]
            print(case["label"], trouble, options, case["source"], *got, "expected", *want, "", sep="\n  ")
    print(f"{sum(equal.values())} equal in {len(equal)} rows of the table")
    for label, count in different.items():
        print(f"differs: {label}: {count} (equal: {equal[label]})")
    for reason, count in skipped.items():
        print(f"not compared: {count}: {reason}")


if __name__ == "__main__":
    main()
