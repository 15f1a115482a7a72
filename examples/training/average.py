#!/usr/bin/env python3
"""Writes the mean of the weights of several models that were trained from one start."""
import argparse
import shutil
from pathlib import Path

from marian import read_tensors, write_tensors


def shapes(tensors):
    return {name: value.shape for name, value in tensors.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('models', nargs='+', help='MarianMT folders of one shape')
    parser.add_argument('--out', required=True,
                        help='folder to write; all but the weights is that of the first')
    options = parser.parse_args()
    every = [read_tensors(folder) for folder in options.models]
    for folder, tensors in zip(options.models, every):
        if shapes(tensors) != shapes(every[0]):
            raise SystemExit(f'{folder}: not of the shape of {options.models[0]}')
    shutil.copytree(options.models[0], options.out, dirs_exist_ok=True)
    write_tensors(Path(options.out, 'model.safetensors'),
                  {name: sum(tensors[name] for tensors in every) / len(every) for name in every[0]})


if __name__ == '__main__':
    main()
