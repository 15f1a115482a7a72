"""MarianMT forward pass in float64 numpy, written from the published equations: the reference of the goldens."""
import json
import math
import struct
from pathlib import Path

import numpy as np

LAYER_NORM_EPSILON = 1e-5
DTYPES = {"F32": np.float32, "F16": np.float16}


def read_safetensors(path):
    data = Path(path).read_bytes()
    (header_bytes,) = struct.unpack("<Q", data[:8])
    base = 8 + header_bytes
    tensors = {}
    for name, entry in json.loads(data[8:base]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[base + begin:base + end], DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).astype(np.float64)
    return tensors


def read_vocabulary(path):
    ids = json.loads(Path(path).read_text(encoding="utf-8"))
    tokens = [""] * (max(ids.values()) + 1)
    for token, index in ids.items():
        tokens[index] = token
    return tokens


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
}


class Marian:
    """One model directory as saved by transformers."""

    def __init__(self, directory):
        directory = Path(directory)
        self.config = json.loads((directory / "config.json").read_text())
        self.weights = read_safetensors(directory / "model.safetensors")
        self.source_vocabulary = read_vocabulary(directory / "vocab.json")
        target = directory / "target_vocab.json"
        self.target_vocabulary = read_vocabulary(target) if target.exists() else self.source_vocabulary
        self.end_id = self.config["eos_token_id"]
        self.pad_id = self.config["pad_token_id"]
        self.start_id = self.config["decoder_start_token_id"]
        self.unknown_id = self.target_vocabulary.index("<unk>")
        shared = self.weights.get("model.shared.weight")
        self.source_rows = self.weights.get("model.encoder.embed_tokens.weight", shared)
        self.target_rows = self.weights.get("model.decoder.embed_tokens.weight", shared)
        self.output_rows = self.weights.get("lm_head.weight", self.target_rows)

    def source_ids(self, tokens):
        return [self.source_vocabulary.index(token) for token in tokens]

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        unit = (x - mean) / np.sqrt(variance + LAYER_NORM_EPSILON)
        return unit * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def attend(self, x, memory, name, n_heads, mask=0.0):
        """Returns the projected context [..., T, E] and the probabilities [..., H, T, S]."""
        def heads(y):
            return y.reshape(*y.shape[:-1], n_heads, -1).swapaxes(-2, -3)

        q, k, v = (heads(self.linear(y, f"{name}.{part}_proj"))
                   for y, part in ((x, "q"), (memory, "k"), (memory, "v")))
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) + mask
        probabilities = np.exp(log_softmax(scores))
        context = (probabilities @ v).swapaxes(-2, -3)
        return self.linear(context.reshape(*x.shape), name + ".out_proj"), probabilities

    def feed_forward(self, x, name):
        activation = ACTIVATIONS[self.config["activation_function"]]
        return self.linear(activation(self.linear(x, name + ".fc1")), name + ".fc2")

    def embed(self, rows, ids):
        ids = np.asarray(ids)
        width = rows.shape[1]
        scale = math.sqrt(width) if self.config["scale_embedding"] else 1.0
        angles = np.arange(ids.shape[-1])[:, None] / 10000.0 ** (2 * np.arange(width // 2) / width)
        return rows[ids] * scale + np.concatenate([np.sin(angles), np.cos(angles)], 1)

    def encode(self, ids):
        x = self.embed(self.source_rows, ids)
        for layer in range(self.config["encoder_layers"]):
            name = f"model.encoder.layers.{layer}"
            y, _ = self.attend(x, x, name + ".self_attn", self.config["encoder_attention_heads"])
            x = self.norm(x + y, name + ".self_attn_layer_norm")
            x = self.norm(x + self.feed_forward(x, name), name + ".final_layer_norm")
        return x

    def decode(self, memory, ids):
        """Target ids [R, T], start id first -> logits [R, T, V], mean cross attention of the last layer [R, T, S]."""
        ids = np.asarray(ids)
        x = self.embed(self.target_rows, ids)
        n_heads = self.config["decoder_attention_heads"]
        causal = np.triu(np.full((ids.shape[-1],) * 2, -np.inf), 1)
        for layer in range(self.config["decoder_layers"]):
            name = f"model.decoder.layers.{layer}"
            y, _ = self.attend(x, x, name + ".self_attn", n_heads, causal)
            x = self.norm(x + y, name + ".self_attn_layer_norm")
            y, cross = self.attend(x, np.broadcast_to(memory, (len(x), *memory.shape)), name + ".encoder_attn", n_heads)
            x = self.norm(x + y, name + ".encoder_attn_layer_norm")
            x = self.norm(x + self.feed_forward(x, name), name + ".final_layer_norm")
        return x @ self.output_rows.T + self.weights["final_logits_bias"][0], cross.mean(1)
