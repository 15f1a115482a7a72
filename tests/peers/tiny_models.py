"""The tiny randomly initialised MarianMT models of the goldens: shapes, weights, vocabularies, sources."""
import json
import math
import random
from pathlib import Path

import torch
from transformers import MarianConfig, MarianMTModel

SEED = 20240917
END_ID, UNKNOWN_ID = 0, 1
PAD_BIAS = -1e4             # pad never wins, and takes nothing from the softmax
MAX_POSITIONS = 64
SOURCE_LENGTHS = (1, 2, 3, 4, 5, 7, 8, 11, 14, 19, 24, 30)
MAX_NEW_TOKENS = 24
FIT_STEPS, FIT_BATCH, FIT_RATE, FIT_WARM_UP = 1500, 24, 3e-3, 300
UNKNOWN_SHARE = 4           # times that the unknown word is as frequent as another in training

# name: encoder layers, decoder layers, d_model, encoder heads, decoder heads, encoder ffn, decoder ffn, activation,
#       scaled embeddings, source vocabulary, target vocabulary, separate vocabularies, dtype, start row is zero
SHAPES = {
    "tiny-a": (1, 1, 16, 2, 2, 32, 32, "swish", True, 40, 40, False, "f32", True),
    "tiny-b": (2, 3, 32, 4, 4, 24, 24, "relu", False, 64, 64, False, "f32", True),
    "tiny-c": (1, 2, 48, 4, 4, 40, 40, "gelu", True, 97, 97, False, "f16", True),
    "tiny-d": (2, 1, 32, 2, 4, 24, 56, "swish", False, 57, 41, True, "f32", True),
    "tiny-e": (1, 1, 16, 4, 4, 24, 24, "relu", True, 50, 50, False, "f32", False),
}

def vocabulary(size, pad_id):
    """Token -> id: the end, the unknown, words, and pad at pad_id."""
    tokens = ["</s>", "<unk>"] + [f"w{i}" for i in range(size - 3)]
    tokens.insert(pad_id, "<pad>")
    return {token: i for i, token in enumerate(tokens)}


def configuration(name):
    (enc, dec, width, enc_heads, dec_heads, enc_ffn, dec_ffn, activation, scaled, source, target, separate, _,
     _) = SHAPES[name]
    pad_id = target - 1
    return MarianConfig(
        encoder_layers=enc, decoder_layers=dec, d_model=width, encoder_attention_heads=enc_heads,
        decoder_attention_heads=dec_heads, encoder_ffn_dim=enc_ffn, decoder_ffn_dim=dec_ffn,
        activation_function=activation, scale_embedding=scaled, vocab_size=source, decoder_vocab_size=target,
        share_encoder_decoder_embeddings=not separate, max_position_embeddings=MAX_POSITIONS, pad_token_id=pad_id,
        decoder_start_token_id=pad_id, eos_token_id=END_ID, forced_eos_token_id=None, bos_token_id=None)


def fill(model, zero_start, generator):
    """Random weights everywhere: biases, norms and the logit bias too, since default values hide errors."""
    config = model.config
    rows = 1 / math.sqrt(config.d_model)

    def normal(shape, mean, deviation):
        return mean + deviation * torch.randn(shape, generator=generator)

    with torch.no_grad():
        for key, value in model.named_parameters():
            if "embed_positions" in key:
                continue
            if "shared" in key or "embed_tokens" in key:
                value.copy_(normal(value.shape, 0.0, rows))
                if zero_start:
                    value[config.pad_token_id] = 0.0
            elif "layer_norm" in key:
                value.copy_(normal(value.shape, 1.0 if key.endswith("weight") else 0.0, 0.2))
            elif key.endswith("bias"):
                value.copy_(normal(value.shape, 0.0, 0.2))
            else:
                value.copy_(normal(value.shape, 0.0, 1 / math.sqrt(value.shape[1])))
        model.final_logits_bias.copy_(normal(model.final_logits_bias.shape, 0.0, 0.5))
        model.final_logits_bias[0, config.pad_token_id] = PAD_BIAS


def invented_target(source, n_target):
    """A toy language: some words vanish, some double, all but the unknown change their names."""
    names = [w if w == UNKNOWN_ID else UNKNOWN_ID + 1 + (7 * w) % (n_target - 3) for w in range(max(source) + 1)]
    return [names[w] for w in source for _ in range((w % 5 == 0) + w % 2)]


def fit(model, name, draw):
    """A moment of training: outputs of random weights repeat one word for ever, which tests little."""
    _, _, _, _, _, _, _, _, _, n_source, n_target, _, _, zero_start = SHAPES[name]
    pad_id = model.config.pad_token_id
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], FIT_RATE)
    words = [i for i in range(UNKNOWN_ID + 1, n_source) if i != pad_id] + UNKNOWN_SHARE * [UNKNOWN_ID]
    for step in range(FIT_STEPS):
        optimizer.param_groups[0]["lr"] = FIT_RATE * min((step + 1) / FIT_WARM_UP, 1 - step / FIT_STEPS)
        length = draw.choice(SOURCE_LENGTHS)
        batch = [[draw.choice(words) for _ in range(length)] for _ in range(FIT_BATCH)]
        targets = [invented_target(s, n_target)[:MAX_NEW_TOKENS] + [END_ID] for s in batch]
        longest = max(map(len, targets))
        labels = torch.tensor([t + [-100] * (longest - len(t)) for t in targets])
        model(input_ids=torch.tensor([s + [END_ID] for s in batch]), labels=labels).loss.backward()
        if zero_start:
            for rows in {model.get_input_embeddings().weight, model.model.decoder.embed_tokens.weight}:
                rows.grad[pad_id] = 0.0
        optimizer.step()
        optimizer.zero_grad()


def build(name):
    """The model, already rounded to the type it is stored in."""
    seed = SEED + sorted(SHAPES).index(name)
    torch.manual_seed(seed)
    model = MarianMTModel(configuration(name)).eval()
    fill(model, SHAPES[name][13], torch.Generator().manual_seed(seed))
    fit(model, name, random.Random(seed))
    return model.half() if SHAPES[name][12] == "f16" else model


def sources(name):
    """Twelve sources of random words; two hold an unknown word. The end token is the caller's to append."""
    draw = random.Random(SEED + sorted(SHAPES).index(name))
    words = [t for t in vocabulary(SHAPES[name][9], SHAPES[name][10] - 1) if t.startswith("w")]
    lists = [[draw.choice(words) for _ in range(length)] for length in SOURCE_LENGTHS]
    lists[3][1] = lists[7][0] = "<unk>"
    return lists


def save(model, name, directory):
    directory = Path(directory)
    model.save_pretrained(directory)
    _, _, _, _, _, _, _, _, _, source, target, separate, _, _ = SHAPES[name]

    def write(path, size):
        entries = vocabulary(size, target - 1)
        path.write_text(json.dumps(entries, indent=0) + "\n")

    write(directory / "vocab.json", source)
    if separate:
        write(directory / "target_vocab.json", target)
    for path in directory.glob("*.json"):       # the versions of the maker say nothing about the model
        entries = json.loads(path.read_text())
        if entries.pop("transformers_version", None):
            path.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")
