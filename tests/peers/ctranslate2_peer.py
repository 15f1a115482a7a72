"""ctranslate2 as a peer: conversion of a MarianMT directory and translation of tokens."""
import tempfile
from pathlib import Path

import ctranslate2
import numpy as np
import torch
from ctranslate2.converters import transformers as converters
from transformers import MarianMTModel

from marian_f64 import read_vocabulary

ALL_HEADS = np.int16(0)     # alignment: the mean of all heads, as heddle reads a MarianMT directory


def swap_first_rows(array):
    """Row 0 with row 1: the library marks a penalised end token by id 0, which must therefore be no end token."""
    array = array.clone()
    array[[0, 1]] = array[[1, 0]]
    return array


def convert(directory, out, swap_end=False, rules=None, quantization=None):
    """Writes the CTranslate2 model; `rules` becomes its vmap.txt."""
    directory = Path(directory)
    model = MarianMTModel.from_pretrained(directory, dtype=torch.float32).eval()
    loader = converters.MarianMTLoader()
    spec = loader.get_model_spec(model)
    spec.decoder.alignment_heads = ALL_HEADS
    spec.decoder.num_heads = np.int16(model.config.decoder_attention_heads)     # the loader takes the encoder's
    source = read_vocabulary(directory / "vocab.json")
    target_path = directory / "target_vocab.json"
    target = read_vocabulary(target_path) if target_path.exists() else source
    pad_id = model.config.pad_token_id
    source, target = (tokens[:pad_id] + tokens[pad_id + 1:] for tokens in (source, target))
    if swap_end:
        source, target = ([tokens[1], tokens[0]] + tokens[2:] for tokens in (source, target))
        rows = {id(r): r for r in (spec.encoder.embeddings[0], spec.decoder.embeddings, spec.decoder.projection)}
        for row in rows.values():
            row.weight = swap_first_rows(row.weight)
        spec.decoder.projection.bias = swap_first_rows(spec.decoder.projection.bias)
    if target_path.exists():            # the library cuts the last row, which is pad on the target side only
        rows = model.model.encoder.embed_tokens.weight.detach()
        rows = torch.cat([rows[:pad_id], rows[pad_id + 1:]])
        spec.encoder.embeddings[0].weight = swap_first_rows(rows) if swap_end else rows
        for part in (spec.decoder.embeddings, spec.decoder.projection):
            part.weight = part.weight[:pad_id]
        spec.decoder.projection.bias = spec.decoder.projection.bias[:pad_id]
    spec.register_source_vocabulary(source)
    spec.register_target_vocabulary(target)
    spec.config.eos_token = spec.config.decoder_start_token = "</s>"
    spec.config.unk_token = "<unk>"
    spec.validate()
    spec.optimize(quantization=quantization)
    Path(out).mkdir(parents=True, exist_ok=True)
    spec.save(str(out))
    if rules is not None:
        (Path(out) / "vmap.txt").write_text(rules)


class Peer:
    """A converted model in a directory of its own, one thread, float32."""

    def __init__(self, directory, **conversion):
        self.folder = tempfile.TemporaryDirectory()
        convert(directory, self.folder.name, **conversion)
        self.translator = ctranslate2.Translator(
            self.folder.name, compute_type="float32", inter_threads=1, intra_threads=1)

    def translate(self, source, prefix=None, **options):
        """Source tokens with their end token -> hypotheses as {"tokens", "score", "alignment"}."""
        result = self.translator.translate_batch(
            [source], target_prefix=[list(prefix)] if prefix else None, return_scores=True, return_attention=True,
            **options)[0]
        rows = result.attention or [[] for _ in result.hypotheses]
        return [{"tokens": h, "score": s, "alignment": a} for h, s, a in zip(result.hypotheses, result.scores, rows)]
