#!/usr/bin/env python3
"""Writes the mean of the weights of several models that were trained from one start."""
import argparse
import math
import shutil
from pathlib import Path

from marian import read_tensors, write_tensors


def shapes(tensors):
    return {name: value.shape for name, value in tensors.items()}


def shares(weights, models):
    """What part of the mean each model has; the parts sum to one."""
    if weights is None:
        weights = [1.0] * models
    if len(weights) != models:
        raise SystemExit(f'--weights: {len(weights)} numbers for {models} models')
    whole = sum(weights)
    if not math.isfinite(whole) or whole <= 0:
        raise SystemExit('--weights: the numbers must be finite and their sum above zero')
    return [weight / whole for weight in weights]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('models', nargs='+', help='MarianMT folders of one shape')
    parser.add_argument('--weights', nargs='+', type=float,
                        help='one number a model, as parts of their sum; without it all count the same')
    parser.add_argument('--out', required=True,
                        help='folder to write; all but the weights is that of the first')
    options = parser.parse_args()
    parts = shares(options.weights, len(options.models))
    every = [read_tensors(folder) for folder in options.models]
    for folder, tensors in zip(options.models, every):
        if shapes(tensors) != shapes(every[0]):
            raise SystemExit(f'{folder}: not of the shape of {options.models[0]}')
    shutil.copytree(options.models[0], options.out, dirs_exist_ok=True)
    write_tensors(Path(options.out, 'model.safetensors'),
                  {name: sum(part * tensors[name] for part, tensors in zip(parts, every)) for name in every[0]})


if __name__ == '__main__':
    main()
