#!/usr/bin/env python3
"""Trains a small English-to-German (or other) Transformer and exports it as a Hugging Face MarianMT directory.

The learning rate rises, stays, and falls to zero over the last --cooldown steps. SIGUSR1 starts that
fall at once.
"""
import argparse
import math
import random
import signal
import time
from pathlib import Path

import sentencepiece
import torch
import torch.nn.functional as F

from corpus import Variation, batches, encode, read_lines, read_pairs, without_known
from marian import EOS, export, read_shape, restore
from network import Shape, Translator

IGNORED = -100


def read_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--data', required=True, help='folder with train, val and test, one file a language')
    parser.add_argument('--source', default='en', help='ending of the source files')
    parser.add_argument('--target', default='de', help='ending of the target files')
    parser.add_argument('--spm', required=True, help='SentencePiece model of both sides (pieces.py makes one)')
    parser.add_argument('--out', required=True, help='folder of the exported model')
    parser.add_argument('--init', help='MarianMT folder to start from; its sizes replace those below')
    parser.add_argument('--width', type=int, default=256)
    parser.add_argument('--heads', type=int, default=4)
    parser.add_argument('--ff', type=int, default=1024)
    parser.add_argument('--encoder-layers', type=int, default=4)
    parser.add_argument('--decoder-layers', type=int, default=2)
    parser.add_argument('--tokens', type=int, default=4096, help='padded pieces of a batch')
    parser.add_argument('--accumulate', type=int, default=1, help='batches of one step')
    parser.add_argument('--steps', type=int, default=14000)
    parser.add_argument('--warmup', type=int, default=1000)
    parser.add_argument('--cooldown', type=int, default=5000)
    parser.add_argument('--lr', type=float, default=7e-4)
    parser.add_argument('--dropout', type=float, default=0.1)
    parser.add_argument('--smoothing', type=float, default=0.1)
    parser.add_argument('--ema', type=float, default=0.999, help='share that the mean of the weights keeps a step')
    parser.add_argument('--bf16', action='store_true', help='multiply in bf16')
    parser.add_argument('--plain', action='store_true', help='the text as it is, without variations')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--report', type=int, default=100, help='steps between two lines of progress')
    return parser.parse_args()


class Schedule:
    """The learning rate of a step; `finish_early` begins the fall to zero from where it is."""
    def __init__(self, options):
        self.peak, self.warmup, self.cooldown = options.lr, options.warmup, options.cooldown
        self.fall_from, self.step, self.last = max(options.steps - options.cooldown, 0), 0, options.steps

    def finish_early(self, *_):
        if self.step < self.fall_from:
            self.fall_from, self.last = self.step, self.step + self.cooldown
            print(f'step {self.step}: falling now, {self.last} is the last step', flush=True)

    def rate(self):
        left = (self.last - self.step) / max(self.last - self.fall_from, 1)
        return self.peak * min(1, self.step / self.warmup) * min(1, left)


class RunningMean:
    """Exponential mean of the weights; young means forget faster."""
    EVERY = 4

    def __init__(self, model, keep):
        self.keep, self.names = keep, [name for name, _ in model.named_parameters()]
        self.live = list(model.parameters())
        self.mean = [parameter.detach().clone() for parameter in self.live]

    @torch.no_grad()
    def update(self, step):
        if step % self.EVERY == 0:
            keep = min(self.keep, step / (step + 100)) ** self.EVERY
            torch._foreach_lerp_(self.mean, self.live, 1 - keep)

    def weights(self):
        return dict(zip(self.names, self.mean))

    @torch.no_grad()
    def swap(self):
        for parameter, mean in zip(self.live, self.mean):
            held = parameter.detach().clone()
            parameter.copy_(mean)
            mean.copy_(held)


def tensors(batch, pad):
    """Source, target moved right, and target, padded; the decoder starts from the pad entry."""
    long_source, long_target = (max(len(pair[side]) for pair in batch) + 1 for side in (0, 1))
    source = torch.tensor([x + [EOS] + [pad] * (long_source - len(x) - 1) for x, _ in batch])
    shifted = torch.tensor([[pad] + y + [pad] * (long_target - len(y) - 1) for _, y in batch])
    target = torch.tensor([y + [EOS] + [IGNORED] * (long_target - len(y) - 1) for _, y in batch])
    return source, shifted, target


def summed_loss(model, batch, smoothing, bf16):
    source, shifted, target = tensors(batch, model.shape.pad)
    kept = target != IGNORED
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=bf16):
        logits = model.logits(model(source, shifted)[kept])
    loss = F.cross_entropy(logits.float(), target[kept], label_smoothing=smoothing, reduction='sum')
    return loss, int(kept.sum())


@torch.no_grad()
def perplexity(model, data, tokens):
    model.eval()
    parts = [summed_loss(model, batch, 0.0, False) for batch in batches(data, tokens, None)]
    model.train()
    return math.exp(sum(loss.item() for loss, _ in parts) / sum(count for _, count in parts))


class Training:
    def __init__(self, options):
        self.options = options
        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads)
        self.processor = sentencepiece.SentencePieceProcessor(model_file=options.spm)
        self.languages = options.source, options.target
        self.read_data()
        shape = read_shape(options.init) if options.init else Shape(
            self.processor.vocab_size() + 1, options.width, options.heads, options.ff,
            options.encoder_layers, options.decoder_layers)
        if shape.vocab != self.processor.vocab_size() + 1:
            raise SystemExit(f'{options.spm} has {self.processor.vocab_size()} pieces, '
                             f'{options.init} has {shape.pad}')
        self.model = Translator(shape, options.dropout)
        if options.init:
            restore(self.model, options.init)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.lr, betas=(0.9, 0.98), eps=1e-9,
                                          fused=True)
        self.mean = RunningMean(self.model, options.ema)
        self.schedule = Schedule(options)
        signal.signal(signal.SIGUSR1, self.schedule.finish_early)
        print(f'seed {options.seed}, {shape}, parameters {sum(p.numel() for p in self.model.parameters())}, '
              f'pairs {len(self.pairs)}', flush=True)

    def read_data(self):
        options = self.options
        held_out = [line for part in ('val', 'test')
                    for line in read_lines(Path(options.data, f'{part}.{options.source}'))]
        self.pairs = without_known(read_pairs(options.data, 'train', self.languages), held_out)
        self.validation = encode(read_pairs(options.data, 'val', self.languages), self.processor)
        self.variation = None if options.plain else Variation(self.pairs, options.seed)

    def groups(self):
        """Batches without end, in groups of one step each."""
        draw, epoch, group = random.Random(self.options.seed), 0, []
        while True:
            pairs = self.variation.epoch(epoch) if self.variation else self.pairs
            for batch in batches(encode(pairs, self.processor), self.options.tokens, draw):
                group.append(batch)
                if len(group) == self.options.accumulate:
                    yield epoch, group
                    group = []
            epoch += 1

    def learn(self, group):
        """One step of the optimiser; returns the summed loss and the number of target pieces."""
        parts = []
        pieces = sum(len(y) + 1 for batch in group for _, y in batch)
        for batch in group:
            loss, count = summed_loss(self.model, batch, self.options.smoothing, self.options.bf16)
            (loss / pieces).backward()
            parts.append(loss.item())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return sum(parts), pieces

    def save(self):
        self.mean.swap()
        found = perplexity(self.model, self.validation, self.options.tokens)
        self.mean.swap()
        export(self.model, self.mean.weights(), (self.processor, self.options.spm), self.options.out,
               self.languages, self.options.dropout)
        return found

    def run(self):
        self.model.train()
        loss = pieces = latest = 0
        for epoch, group in self.groups():
            self.schedule.step += 1
            step, rate = self.schedule.step, self.schedule.rate()
            if epoch > latest:
                print(f'epoch {latest} ends: validation perplexity {self.save():.3f}', flush=True)
                latest = epoch
            for settings in self.optimizer.param_groups:
                settings['lr'] = rate
            part, count = self.learn(group)
            self.mean.update(step)
            loss, pieces = loss + part, pieces + count
            if step % self.options.report == 0:
                print(f'epoch {epoch} step {step} rate {rate:.2e} loss {loss / pieces:.3f} pieces {pieces} '
                      f'{time.process_time() / 60:.1f} CPU minutes {time.strftime("%H:%M:%S")}', flush=True)
                loss = pieces = 0
            if step >= self.schedule.last:
                break
        print(f'step {step}: validation perplexity {self.save():.3f}', flush=True)


if __name__ == '__main__':
    Training(read_options()).run()
