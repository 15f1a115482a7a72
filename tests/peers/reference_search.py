"""Search and scores of docs/numerics.md in float64, one plain function a rule: what the engine is tested against.

It favours nothing but clarity: the whole target is computed anew in every step. Beside each result stands `gap`, the
smallest distance by which any decision was taken; goldens keep only cases whose gap is far above float32 noise.
"""
import math
from dataclasses import dataclass, field, replace

import numpy as np

from marian_f64 import log_softmax


@dataclass(frozen=True)
class Options:
    beam: int = 4
    n_best: int = 1
    length_penalty: float = 1.0
    length_norm: str = "power"
    coverage_penalty: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    patience: float = 1.0
    stop: str = "count"
    min_length: int = 1
    max_length: int = 24
    end_tokens: tuple = ()
    suppress: tuple = ()
    no_unk: bool = False
    allowed: frozenset = None
    prefix: tuple = ()
    prefix_bias: float = 0.0
    alternatives: int = 0
    min_alternative_prob: float = 0.0
    # The definition leaves two points open, so goldens hold only cases that do not depend on them. Is the place of an
    # end token of rank 2..K right after a hard prefix filled ("replace") or left empty ("drop", as ctranslate2 does)?
    # Are alternatives renormalised without the end tokens (ctranslate2 does)?
    late_end: str = "replace"
    alternatives_mask_end: bool = True


@dataclass
class Hypothesis:
    tokens: list
    logprobs: list          # one a token, and the end token's when finished == "end"
    finished: str = ""
    order: tuple = (0, 0)   # step and rank at which it finished
    score: float = 0.0
    alignment: list = None  # [T][S]

    def total(self):
        return sum(self.logprobs)


@dataclass
class Search:
    """One sentence: what the steps share, and the smallest gap met."""
    model: object
    source: list
    options: Options
    gap: float = math.inf
    ambiguous: bool = False
    ends: tuple = ()
    memory: np.ndarray = None
    finished: list = field(default_factory=list)

    def __post_init__(self):
        self.ends = self.options.end_tokens or (self.model.end_id,)
        self.memory = self.model.encode(self.source)

    def note(self, gap):
        self.gap = min(self.gap, gap)


def half_away(value):
    return math.floor(value + 0.5)


def divisor(options, length):
    if options.length_norm == "gnmt":
        return ((5 + length) / 6) ** options.length_penalty
    return length ** options.length_penalty


def banned(search, tokens):
    """Ids that are set to -inf for a hypothesis of these tokens."""
    options, model = search.options, search.model
    ids = {model.pad_id}
    if len(tokens) < options.min_length:
        ids.update(search.ends)
    if options.no_unk:
        ids.add(model.unknown_id)
    if options.allowed is not None:
        ids.update(set(range(len(model.target_vocabulary))) - options.allowed)
    n = options.no_repeat_ngram
    if n and len(tokens) >= n:
        head = tuple(tokens[len(tokens) - n + 1:])
        for start in range(len(tokens) - n + 1):
            if tuple(tokens[start:start + n - 1]) == head:
                ids.add(tokens[start + n - 1])
    for sequence in options.suppress:
        head = tuple(sequence[:-1])
        if len(head) <= len(tokens) and tuple(tokens[len(tokens) - len(head):]) == head:
            ids.add(sequence[-1])
    return ids


def edited_log_probabilities(search, tokens, logits):
    """Steps 1 to 3 of the definition, then the bias towards a prefix."""
    options, logits = search.options, logits.copy()
    for token in set(tokens):
        z, r = logits[token], options.repetition_penalty
        logits[token] = z * r if z < 0 else z / r
    logits[sorted(banned(search, tokens))] = -np.inf
    if np.isinf(logits).all():
        logits[search.ends[0]] = 0.0
    result = log_softmax(logits)
    step = len(tokens)
    if options.prefix_bias and step < len(options.prefix) and tuple(tokens) == options.prefix[:step]:
        probabilities = np.exp(result) * (1 - options.prefix_bias)
        probabilities[options.prefix[step]] += options.prefix_bias
        with np.errstate(divide="ignore"):
            result = np.log(probabilities)
    return result


def continuations(search, live):
    """Every continuation as (sum, beam, token, log-probability), best first."""
    ids = [[search.model.start_id] + hypothesis.tokens for hypothesis in live]
    logits = search.model.decode(search.memory, ids)[0][:, -1]
    found = []
    for beam, hypothesis in enumerate(live):
        logprobs = edited_log_probabilities(search, hypothesis.tokens, logits[beam])
        total = hypothesis.total()
        found += [(total + logprobs[v], beam, v, logprobs[v]) for v in np.flatnonzero(logprobs > -np.inf)]
    return sorted(found, key=lambda c: (-c[0], c[1], c[2]))


def extend(live, candidate, end):
    _, beam, token, logprob = candidate
    parent = live[beam]
    tokens = parent.tokens if end else parent.tokens + [int(token)]
    return Hypothesis(tokens, parent.logprobs + [float(logprob)])


def beam_step(search, live, width, after_prefix, is_last):
    """One step; returns the live hypotheses of the next and whether rank 1 ended."""
    options = search.options
    ranked = continuations(search, live)
    reach = 1 if options.beam == 1 else width if options.stop == "all" else 2 * options.beam
    for better, worse in zip(ranked[:reach], ranked[1:reach + 1]):
        search.note(better[0] - worse[0])
    spare = iter([] if options.stop == "all" else ranked[width:2 * width])
    next_live, step = [], len(live[0].tokens) + 1
    for rank, candidate in enumerate(ranked[:width]):
        is_end = candidate[2] in search.ends
        if is_end or is_last:
            if not (is_end and after_prefix and rank > 0):
                hypothesis = extend(live, candidate, is_end)
                hypothesis.finished = "end" if is_end else "length"
                hypothesis.order = (step, rank)
                search.finished.append(hypothesis)
            elif options.late_end == "drop" or is_last:
                continue
            candidate = next((c for c in spare if c[2] not in search.ends), None)
            search.ambiguous |= candidate is None and not is_last and options.stop != "all" and width > 1
        if candidate is not None:
            next_live.append(extend(live, candidate, False))
    return next_live, bool(ranked) and ranked[0][2] in search.ends


def may_stop(search, live, rank_one_ended):
    """The stop rules other than max-length, for the hypotheses finished so far."""
    options, finished = search.options, search.finished
    needed = half_away(options.beam * options.patience)
    if not live:
        return True
    if options.stop == "all":
        return False
    if options.beam == 1:
        return bool(finished)
    if options.stop == "bound":
        if len(finished) < needed:
            return False
        worst = sorted((h.total() / divisor(options, len(h.logprobs)) for h in finished), reverse=True)[needed - 1]
        best = max(h.total() for h in live) / divisor(options, len(live[0].tokens))
        search.note(abs(best - worst))
        return best <= worst
    if options.length_penalty == 0 and options.coverage_penalty == 0:
        return rank_one_ended and len(finished) >= options.n_best
    return len(finished) >= needed


def align(search, hypothesis, rows):
    ids = [[search.model.start_id] + hypothesis.tokens]
    return search.model.decode(search.memory, ids)[1][0][:rows]


def finish(search, hypotheses):
    """Scores, order and alignment; notes the gaps of the final ranking."""
    options = search.options
    for hypothesis in hypotheses:
        length = len(hypothesis.logprobs)
        hypothesis.score = hypothesis.total() / divisor(options, length)
        if options.coverage_penalty:
            covered = align(search, hypothesis, length).sum(0)
            hypothesis.score += options.coverage_penalty * float(np.log(np.minimum(covered[covered > 0], 1)).sum())
        hypothesis.alignment = align(search, hypothesis, len(hypothesis.tokens))
    ranked = sorted(hypotheses, key=lambda h: (-h.score, h.order))
    for better, worse in zip(ranked[:options.n_best], ranked[1:options.n_best + 1]):
        search.note(better.score - worse.score)
    return ranked[:options.n_best]


def run(search, tokens, logprobs, after_prefix):
    """The search proper, from one hypothesis that has these tokens already."""
    options = search.options
    live, width, rank_one_ended = [Hypothesis(tokens, logprobs)], options.beam, False
    while True:
        is_last = len(live[0].tokens) + 1 == options.max_length
        n_before = len(search.finished)
        live, ended = beam_step(search, live, width, after_prefix, is_last)
        rank_one_ended |= ended
        after_prefix = False
        if options.stop == "all":
            width -= len(search.finished) - n_before
        if is_last or may_stop(search, live, rank_one_ended):
            return


def alternatives(search):
    options, prefix = search.options, list(search.options.prefix)
    logits = search.model.decode(search.memory, [[search.model.start_id] + prefix])[0][0, -1].copy()
    if options.alternatives_mask_end:
        logits[list(search.ends)] = -np.inf
    logprobs = edited_log_probabilities(search, prefix, logits)
    logprobs[list(search.ends)] = -np.inf
    order = np.argsort(-logprobs, kind="stable")[:options.alternatives + 1]
    for better, worse in zip(order, order[1:]):
        search.note(float(logprobs[better] - logprobs[worse]))
    results = []
    for token in order[:options.alternatives]:
        if logprobs[token] == -np.inf:
            continue
        search.note(abs(math.exp(logprobs[token]) - options.min_alternative_prob))
        if math.exp(logprobs[token]) < options.min_alternative_prob:
            continue
        search.finished = []
        first = Hypothesis(prefix + [int(token)], [0.0] * len(prefix) + [float(logprobs[token])], "length")
        if len(first.tokens) == options.max_length:
            search.finished = [first]
        else:
            run(search, first.tokens, first.logprobs, False)
        results += finish(search, search.finished)
    return results


def translate(model, source, options):
    """Source ids (end token included where the model wants it) -> hypotheses, smallest gap, ambiguous."""
    prefix = [] if options.prefix_bias else list(options.prefix)[:options.max_length]
    if not any(token not in (model.end_id, model.pad_id) for token in source):
        return [Hypothesis(prefix, [0.0] * len(prefix), "length" if prefix else "end", score=0.0, alignment=[])
                for _ in range(options.n_best)], math.inf, False
    if options.alternatives:
        search = Search(model, source, replace(options, n_best=1))
        return alternatives(search), search.gap, search.ambiguous
    search = Search(model, source, options)
    if len(prefix) == options.max_length:
        hypothesis = Hypothesis(prefix, [0.0] * len(prefix), "length")
        hypothesis.alignment = align(search, hypothesis, len(prefix))
        return [hypothesis] * options.n_best, math.inf, False
    run(search, prefix, [0.0] * len(prefix), bool(prefix))
    return finish(search, search.finished), search.gap, search.ambiguous


def forced(model, source, target):
    """Log-probabilities of the target and the end token, with the logits [T + 1, V] they come from."""
    logits = model.decode(model.encode(source), [[model.start_id] + list(target)])[0][0]
    masked = logits.copy()
    masked[:, model.pad_id] = -np.inf
    logprobs = log_softmax(masked)
    return [float(logprobs[i, token]) for i, token in enumerate(list(target) + [model.end_id])], logits
