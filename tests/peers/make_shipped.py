"""Makes the goldens of the shipped model: greedy and beam 4 on the Tatoeba test by ctranslate2 and transformers."""
import argparse
import json
import tempfile
from pathlib import Path

import ctranslate2
import sentencepiece
import torch
from transformers import MarianMTModel

import ctranslate2_peer
import transformers_peer
from marian_f64 import read_vocabulary

MAX_LENGTH = 100
BEAMS = {"greedy": 1, "beam4": 4}
NEAR_TIE = 1e-4
NOTE = ("a line a sentence: [pieces, ctranslate2's score, transformers' score], or [[pieces, score], [pieces, score]] "
        "where they differ; length penalty 1, min-length 0, float32; all are finished by the end token unless \"length\" "
        "follows")


def by_ctranslate2(directory, sources):
    with tempfile.TemporaryDirectory() as folder:
        ctranslate2_peer.convert(directory, folder)
        translator = ctranslate2.Translator(folder, compute_type="float32", inter_threads=1, intra_threads=1)
        return {name: [(r.hypotheses[0], r.scores[0]) for r in translator.translate_batch(
            sources, beam_size=beam, length_penalty=1, max_decoding_length=MAX_LENGTH, min_decoding_length=0,
            return_scores=True, max_batch_size=16)] for name, beam in BEAMS.items()}


def by_transformers(directory, sources):
    model = MarianMTModel.from_pretrained(directory, dtype=torch.float32).eval()
    tokens = read_vocabulary(Path(directory) / "vocab.json")
    ids = {token: i for i, token in enumerate(tokens)}
    results = {}
    for name, beam in BEAMS.items():
        found = [transformers_peer.translate(model, [ids[t] for t in source], MAX_LENGTH, beam)[0]
                 for source in sources]
        results[name] = [([tokens[i] for i in h["ids"]], h["score"]) for h in found]
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(arguments.model / "source.spm"))
    known = set(read_vocabulary(arguments.model / "vocab.json"))
    lines = arguments.text.read_text(encoding="utf-8").split("\n")[:-1]
    pieces = [processor.encode(line, out_type=str) for line in lines]
    sources = [[p if p in known else "<unk>" for p in line] + ["</s>"] for line in pieces]
    one, other = by_ctranslate2(arguments.model, sources), by_transformers(arguments.model, sources)
    with open(arguments.out, "w", encoding="utf-8") as out:
        out.write(json.dumps({"note": NOTE, "max_length": MAX_LENGTH}) + "\n")
        for i in range(len(sources)):
            entry = {}
            for name in BEAMS:
                (a, score), (b, other_score) = one[name][i], other[name][i]
                scores = [round(score, 5), round(other_score, 5)]
                entry[name] = [" ".join(a), *scores] if a == b else [[" ".join(a), scores[0]], [" ".join(b), scores[1]]]
                if max(len(a), len(b)) == MAX_LENGTH:
                    entry[name].append("length")
                if a != b:
                    near = "near-tie" if abs(score - other_score) < NEAR_TIE else "NOT A TIE"
                    print(f"line {i + 1}, {name}: {near}: {scores[0]} {' '.join(a)} | {scores[1]} {' '.join(b)}")
                elif abs(score - other_score) > NEAR_TIE:
                    print(f"line {i + 1}, {name}: scores {scores}")
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
