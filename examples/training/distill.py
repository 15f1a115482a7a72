#!/usr/bin/env python3
"""Makes training text on which greedy search learns what beam search finds (sequence-level interpolation).

A sample of the training sources is translated with n-best lists; of each list the hypothesis nearest
to a reference is kept, or a reference itself where none is near.
"""
import argparse
import random
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

from corpus import read_pairs

ORDERS = 4


def grams(text):
    words = re.findall(r'\w+|[^\w\s]', text)
    return [Counter(zip(*(words[i:] for i in range(order)))) for order in range(1, ORDERS + 1)]


def nearness(hypothesis, reference):
    """Mean over the orders of the F1 of the n-grams that both have, each count raised by one."""
    total = 0.0
    for h, r in zip(hypothesis, reference):
        total += 2 * ((h & r).total() + 1) / (h.total() + r.total() + 2)
    return total / ORDERS


def n_best(options, sources):
    """Lists of hypotheses, by line."""
    command = [options.program, 'translate', options.model, '--quiet', '--beam', str(options.beam),
               '--n-best', str(options.beam), '--compute', options.compute,
               '--threads', str(options.threads)]
    result = subprocess.run(command, input='\n'.join(sources) + '\n', capture_output=True,
                            encoding='utf-8')
    if result.returncode:
        raise SystemExit(result.stderr.strip() or f'{options.program} failed with {result.returncode}')
    found = defaultdict(list)
    for line in result.stdout.split('\n')[:-1]:
        number, text, _ = line.split(' ||| ')
        found[int(number)].append(text)
    return found


def choose(hypotheses, references, least):
    """The hypothesis nearest to any reference, and how near it is."""
    known = [grams(text) for text in references]
    best = max(((max(nearness(grams(text), r) for r in known), text) for text in hypotheses), default=(0.0, ''))
    return best[1] if best[0] >= least else random.choice(references)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--program', default='build/heddle', help='the translator')
    parser.add_argument('--model', required=True, help='MarianMT folder of the teacher')
    parser.add_argument('--data', required=True, help='folder with train, val and test')
    parser.add_argument('--out', required=True, help='folder to write, of the same form')
    parser.add_argument('--source', default='en')
    parser.add_argument('--target', default='de')
    parser.add_argument('--beam', type=int, default=4)
    parser.add_argument('--compute', default='auto')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--sources', type=int, default=0, help='how many distinct sources to take; 0 takes all')
    parser.add_argument('--least', type=float, default=0.65,
                        help='nearness below which a reference is kept, 0 to 1')
    parser.add_argument('--seed', type=int, default=7)
    options = parser.parse_args()
    random.seed(options.seed)
    references = defaultdict(list)
    for x, y in read_pairs(options.data, 'train', (options.source, options.target)):
        references[x].append(y)
    sources = sorted(references)
    random.shuffle(sources)
    sources = sources[:options.sources or None]
    found = n_best(options, sources)
    targets = [choose(found[i], references[x], options.least) for i, x in enumerate(sources)]
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / f'train.{options.source}').write_text('\n'.join(sources) + '\n', encoding='utf-8')
    (out / f'train.{options.target}').write_text('\n'.join(targets) + '\n', encoding='utf-8')
    for part in ('val', 'test'):
        for language in (options.source, options.target):
            shutil.copyfile(Path(options.data, f'{part}.{language}'), out / f'{part}.{language}')
    kept = sum(y in references[x] for x, y in zip(sources, targets))
    print(f'seed {options.seed}: {len(sources)} sources, {kept} with a reference as their target')


if __name__ == '__main__':
    main()
