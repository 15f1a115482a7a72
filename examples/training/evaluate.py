#!/usr/bin/env python3
"""Scores models with sacreBLEU: on the test part of the data, and on a file of source TAB target."""
import argparse
import json
import subprocess
from pathlib import Path

import sacrebleu

from corpus import read_lines, read_pairs


def translate(options, model, sources):
    command = [options.program, 'translate', model, '--beam', str(options.beam), '--compute',
               options.compute, '--quiet']
    result = subprocess.run(command, input='\n'.join(sources) + '\n', capture_output=True,
                            encoding='utf-8')
    if result.returncode:
        raise SystemExit(result.stderr.strip() or f'{options.program} failed with {result.returncode}')
    return result.stdout.split('\n')[:-1]


def report(title, outputs, references):
    bleu = sacrebleu.corpus_bleu(outputs, references)
    chrf = sacrebleu.corpus_chrf(outputs, references)
    print(f'{title}: {len(outputs)} lines, BLEU {bleu.score:.2f}, chrF {chrf.score:.2f}, '
          f'length {bleu.sys_len / bleu.ref_len:.3f}')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('models', nargs='+', help='MarianMT folders')
    parser.add_argument('--program', default='build/heddle', help='the translator')
    parser.add_argument('--data', help='folder with test.<source>, test.<target> and perhaps test.refs.json')
    parser.add_argument('--pairs', help='file of source TAB target lines')
    parser.add_argument('--source', default='en')
    parser.add_argument('--target', default='de')
    parser.add_argument('--beam', type=int, default=1)
    parser.add_argument('--compute', default='f32', help='f32, the same on every machine; bf16, int8, auto')
    parser.add_argument('--show', action='store_true', help='print the lines of --pairs with their outputs')
    options = parser.parse_args()
    for model in options.models:
        if options.data:
            pairs = read_pairs(options.data, 'test', (options.source, options.target))
            outputs = translate(options, model, [x for x, _ in pairs])
            report(f'{model} test, one reference', outputs, [[y for _, y in pairs]])
            every = Path(options.data, 'test.refs.json')
            if every.exists():
                listed = json.loads(every.read_text(encoding='utf-8'))
                known = [listed[x] for x, _ in pairs]
                most = max(map(len, known))
                report(f'{model} test, all references', outputs,
                       [[texts[i] if i < len(texts) else None for texts in known] for i in range(most)])
        if options.pairs:
            pairs = [line.split('\t') for line in read_lines(options.pairs)]
            outputs = translate(options, model, [x for x, _ in pairs])
            report(f'{model} {options.pairs}', outputs, [[y for _, y in pairs]])
            if options.show:
                for (x, y), output in zip(pairs, outputs):
                    print(f'{x}\n  wanted {y}\n  output {output}')


if __name__ == '__main__':
    main()
