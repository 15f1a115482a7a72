"""The table of decoding options that options.json covers: each row becomes cases in which its option matters."""
from dataclasses import replace

from reference_search import Options, translate

BASE = Options(min_length=0, max_length=24)
ALL_BEAMS, WIDE = (1, 2, 4, 5), (2, 4, 5)

# label: beams, options; the first beam is kept small where several differ only in the score.
PLAIN = [
    ("length_penalty 0", WIDE, {"length_penalty": 0.0}),
    ("length_penalty 0, n_best", WIDE, {"length_penalty": 0.0, "n_best": 2}),
    ("length_penalty 0.5", ALL_BEAMS, {"length_penalty": 0.5}),
    ("length_penalty 2", WIDE, {"length_penalty": 2.0}),
    ("gnmt", ALL_BEAMS, {"length_norm": "gnmt"}),
    ("gnmt 0.6, n_best", WIDE, {"length_norm": "gnmt", "length_penalty": 0.6, "n_best": 2}),
    ("coverage", ALL_BEAMS, {"coverage_penalty": 0.4}),
    ("coverage 2, n_best", WIDE, {"coverage_penalty": 2.0, "n_best": 2}),
    ("coverage, length_penalty 0", (2, 4), {"coverage_penalty": 0.4, "length_penalty": 0.0}),
    ("repetition_penalty 1.3", ALL_BEAMS, {"repetition_penalty": 1.3}),
    ("repetition_penalty 5", ALL_BEAMS, {"repetition_penalty": 5.0}),
    ("no_repeat_ngram 1", ALL_BEAMS, {"no_repeat_ngram": 1}),
    ("no_repeat_ngram 2", ALL_BEAMS, {"no_repeat_ngram": 2}),
    ("no_repeat_ngram 3", (4, 5), {"no_repeat_ngram": 3}),
    ("patience 2", WIDE, {"patience": 2.0}),
    ("patience 2, n_best 6", (4, 5), {"patience": 2.0, "n_best": 6}),
    ("patience 0.5", (4, 5), {"patience": 0.5}),
    ("patience 1.5", (5,), {"patience": 1.5, "n_best": 7}),
    ("stop bound", WIDE, {"stop": "bound"}),
    ("stop bound, length_penalty 0", WIDE, {"stop": "bound", "length_penalty": 0.0}),
    ("stop all", WIDE, {"stop": "all"}),
    ("stop all, n_best 2", WIDE, {"stop": "all", "n_best": 2}),
    ("n_best 2", WIDE, {"n_best": 2}),
    ("n_best 5", (5,), {"n_best": 5}),
    ("min_length 1", ALL_BEAMS, {"min_length": 1}),
    ("min_length 8", ALL_BEAMS, {"min_length": 8}),
    ("min_length 12 = max_length", (1, 4), {"min_length": 12, "max_length": 12}),
    ("max_length 1", (1, 4), {"max_length": 1}),
    ("max_length 3", ALL_BEAMS, {"max_length": 3}),
    ("no_unk", ALL_BEAMS, {"no_unk": True}),
    ("everything", WIDE, {"length_penalty": 0.7, "length_norm": "gnmt", "coverage_penalty": 0.2, "n_best": 2,
                          "repetition_penalty": 1.2, "no_repeat_ngram": 2, "min_length": 4, "max_length": 14,
                          "patience": 1.5, "no_unk": True}),
]


def drawn(model, source, draw):
    """Options that name tokens: built from what this source yields, so that they matter to it."""
    best = translate(model, source, replace(BASE, beam=4, n_best=2))[0]
    first = best[0].tokens or best[1].tokens
    words = [i for i in range(2, len(model.target_vocabulary)) if i != model.pad_id]
    some = [draw.choice(words) for _ in range(5)]
    head = tuple(first[:1]) + tuple(some[:2])
    return [
        ("suppress one", ALL_BEAMS, {"suppress": ((first[0],),)}),
        ("suppress sequences", ALL_BEAMS,
         {"suppress": (tuple(first[:2]), tuple(first[1:4]) or (some[0],), (some[1], some[2]))}),
        ("end_token", ALL_BEAMS, {"end_tokens": (first[-1],)}),
        ("end_token, two", WIDE, {"end_tokens": (first[-1], model.end_id)}),
        ("prefix 1", ALL_BEAMS, {"prefix": (some[0],)}),
        ("prefix 3", ALL_BEAMS, {"prefix": tuple(some[:3])}),
        ("prefix of the best", WIDE, {"prefix": tuple(first[:2])}),
        ("prefix with unknown", (1, 4), {"prefix": (1, some[0])}),
        ("prefix = max_length", (1, 4), {"prefix": tuple(some[:4]), "max_length": 4}),
        ("prefix over max_length", (1, 4), {"prefix": tuple(some), "max_length": 3}),
        ("prefix, last step", (1, 4), {"prefix": tuple(some[:4]), "max_length": 5}),
        ("prefix, n_best, length_penalty 0", WIDE, {"prefix": tuple(some[:2]), "n_best": 2, "length_penalty": 0.0}),
        ("prefix, min_length", (1, 4), {"prefix": tuple(some[:3]), "min_length": 7}),
        ("prefix, repetition_penalty", (1, 4), {"prefix": head, "repetition_penalty": 3.0}),
        ("prefix, no_repeat_ngram", (1, 4), {"prefix": (first[0], first[0], some[0]), "no_repeat_ngram": 1}),
        ("prefix, suppress", (1, 4),
         {"prefix": (some[0], first[0]), "suppress": ((some[0], first[0]), (first[0], first[-1]))}),
        ("prefix, coverage, gnmt", (2, 4), {"prefix": head, "coverage_penalty": 0.3, "length_norm": "gnmt"}),
        ("prefix, stop bound", (2, 4), {"prefix": tuple(some[:1]), "stop": "bound"}),
        ("prefix, stop all", (2, 4), {"prefix": tuple(some[:1]), "stop": "all"}),
        ("prefix_bias 0.3", ALL_BEAMS, {"prefix": tuple(some[:3]), "prefix_bias": 0.3}),
        ("prefix_bias 0.8", ALL_BEAMS, {"prefix": tuple(some[:3]), "prefix_bias": 0.8}),
        ("prefix_bias 0.99", ALL_BEAMS, {"prefix": tuple(some[:4]), "prefix_bias": 0.99}),
        ("prefix_bias 0.5 of a rival", WIDE,
         {"prefix": tuple(best[1].tokens[:4]) or (some[0],), "prefix_bias": 0.5, "n_best": 2}),
        ("alternatives 3", ALL_BEAMS, {"alternatives": 3, "min_length": 1}),
        ("alternatives 5 of 0.01", (1, 4), {"alternatives": 5, "min_length": 1, "min_alternative_prob": 0.01}),
        ("alternatives 3 after a prefix", (1, 2, 4), {"alternatives": 3, "prefix": head, "min_length": len(head) + 1}),
        ("alternatives, length_penalty 0", (1, 2, 4), {"alternatives": 3, "min_length": 1, "length_penalty": 0.0}),
        ("alternatives, max_length 1", (1, 4), {"alternatives": 3, "min_length": 1, "max_length": 1}),
    ]


def vocabulary_rules(model, draw):
    """A vmap.txt: words allowed always, by one source word, by two; and the options that apply it to a source."""
    words = [i for i in range(2, model.pad_id)]
    always = sorted(draw.sample(words, 3))
    single = {w: sorted(draw.sample(words, 3)) for w in range(2, min(len(model.source_vocabulary), 40), 2)}
    return always, single


def rules_text(model, always, single, pairs):
    target, source = model.target_vocabulary, model.source_vocabulary
    lines = ["\t" + " ".join(target[i] for i in always)]
    lines += [source[w] + "\t" + " ".join(target[i] for i in ids) for w, ids in single.items()]
    lines += [" ".join(source[w] for w in pair) + "\t" + " ".join(target[i] for i in ids)
              for pair, ids in pairs.items()]
    return "\n".join(lines) + "\n"


def allowed_ids(model, source, always, single, pairs):
    ids = {model.unknown_id, model.end_id, *always}
    for i, word in enumerate(source):
        ids.update(single.get(word, ()))
        ids.update(pairs.get(tuple(source[i:i + 2]), ()))
    return frozenset(ids)
