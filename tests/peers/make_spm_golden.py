"""Writes tests/data/text/spm_golden.tsv: text, ids and decoded text as the sentencepiece package gives them.

python3 make_spm_golden.py SPM_MODEL TATOEBA_TEST_EN TATOEBA_TEST_DE OUT.tsv
The model is models/en-de/source.spm; the sentences are Tatoeba's (CC-BY 2.0 FR, via manythings.org/anki).
"""
import sys

import sentencepiece

ODD = [
    "  two  spaces   and more  ",
    "caf\u00e9 cafe\u0301 \u00df \u1e9e",
    "full width \uff28\uff45\uff4c\uff4c\uff4f \uff11\uff12\uff13",
    "ligatures \ufb01 \ufb02 and \u2460 \u00bd \u2122",
    "lines\u2028that\u2029are\u0085not\u000blines\u000chere",
    "no\u00a0break and thin\u2009spaces\u3000wide",
    "\u65e5\u672c\u8a9e\u306e\u6587\u3002 \u4e2d\u6587\uff01",
    "emoji \U0001f600\U0001f44d\U0001f3fd ok",
    "\u0410\u043d\u043d\u0430 \u0438 \u041f\u0435\u0442\u044f",
    "zero\u200bwidth\u200djoiner\ufeff",
    "</s> <s> <unk> <pad> are text",
    "\u2581 is a meta symbol, \u2047 is the unknown one",
    "mail@example.org https://example.org/?q=1&r=2#x",
    "1,234.56 - 7 % + 8 = ?",
    "\ufffd\ufffd replaced",
    "A" * 120,
]


def main():
    model, english, german, out = sys.argv[1:]
    processor = sentencepiece.SentencePieceProcessor(model_file=model)
    lines = open(english, encoding="utf-8", newline="\n").read().split("\n")[:100]
    lines += open(german, encoding="utf-8", newline="\n").read().split("\n")[:100]
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        for line in lines + ODD:
            ids = processor.encode(line, out_type=int)
            decoded = processor.decode(ids)
            assert not any(c in "\t\n" for c in line + decoded)
            file.write("\t".join([line, " ".join(map(str, ids)), decoded]) + "\n")


if __name__ == "__main__":
    main()
