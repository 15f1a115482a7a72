"""The Transformer that is trained: post-norm, tied embeddings, swish, under MarianMT's parameter names."""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

MASKED = -1e9
POSITIONS = 512


@dataclass
class Shape:
    """Sizes of a model; `vocab` counts the pad entry, which is the last one."""
    vocab: int
    width: int = 256
    heads: int = 4
    ff: int = 1024
    encoder_layers: int = 4
    decoder_layers: int = 2

    @property
    def pad(self):
        return self.vocab - 1


def sinusoids(count, width):
    """Positions as Marian lays them out: all sines, then all cosines."""
    rate = 10000 ** (-2 * torch.arange(width // 2, dtype=torch.float64) / width)
    angle = torch.arange(count, dtype=torch.float64)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], 1).float()


def linear(inputs, outputs):
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads = shape.heads
        self.q_proj = linear(shape.width, shape.width)
        self.k_proj = linear(shape.width, shape.width)
        self.v_proj = linear(shape.width, shape.width)
        self.out_proj = linear(shape.width, shape.width)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, memory, mask):
        q, k, v = self.split(self.q_proj(x)), self.split(self.k_proj(memory)), self.split(self.v_proj(memory))
        weights = F.softmax((q @ k.transpose(2, 3)).float() * q.shape[-1] ** -0.5 + mask, -1)
        mixed = weights.to(v.dtype) @ v   # faster on short sentences than the fused attention
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """One layer of either side; `cross` adds the attention over the source."""
    def __init__(self, shape, dropout, cross):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.self_attn = Attention(shape)
        self.self_attn_layer_norm = nn.LayerNorm(shape.width)
        if cross:
            self.encoder_attn = Attention(shape)
            self.encoder_attn_layer_norm = nn.LayerNorm(shape.width)
        self.fc1 = linear(shape.width, shape.ff)
        self.fc2 = linear(shape.ff, shape.width)
        self.final_layer_norm = nn.LayerNorm(shape.width)

    def forward(self, x, mask, memory=None, memory_mask=None):
        x = self.self_attn_layer_norm(x + self.dropout(self.self_attn(x, x, mask)))
        if memory is not None:
            x = self.encoder_attn_layer_norm(x + self.dropout(self.encoder_attn(x, memory, memory_mask)))
        return self.final_layer_norm(x + self.dropout(self.fc2(F.silu(self.fc1(x)))))


class Stack(nn.Module):
    def __init__(self, shape, dropout, depth, cross):
        super().__init__()
        self.layers = nn.ModuleList(Layer(shape, dropout, cross) for _ in range(depth))


class Translator(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.shape = shape
        self.dropout = nn.Dropout(dropout)
        self.shared = nn.Embedding(shape.vocab, shape.width, padding_idx=shape.pad)
        nn.init.normal_(self.shared.weight, 0, shape.width ** -0.5)
        nn.init.zeros_(self.shared.weight[shape.pad])   # decoding starts from a zero vector, as in Marian
        self.encoder = Stack(shape, dropout, shape.encoder_layers, False)
        self.decoder = Stack(shape, dropout, shape.decoder_layers, True)
        self.register_buffer('positions', sinusoids(POSITIONS, shape.width), persistent=False)

    def embed(self, ids):
        return self.dropout(self.shared(ids) * math.sqrt(self.shape.width) + self.positions[:ids.shape[1]])

    def forward(self, source, shifted):
        """Hidden states of the decoder for `shifted`, the target moved one place to the right."""
        source_mask = ((source == self.shape.pad) * MASKED)[:, None, None]
        memory = self.embed(source)
        for layer in self.encoder.layers:
            memory = layer(memory, source_mask)
        length = shifted.shape[1]
        future = torch.full((length, length), MASKED).triu(1)[None, None]
        x = self.embed(shifted)
        for layer in self.decoder.layers:
            x = layer(x, future, memory, source_mask)
        return x

    def logits(self, hidden):
        return F.linear(hidden, self.shared.weight[:self.shape.pad])   # pad is never generated
