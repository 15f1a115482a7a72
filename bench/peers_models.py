"""Prepares what peers.py measures: both models for both systems, and token files. Needs torch and transformers."""
import json
import random
import sys
from collections import namedtuple
from pathlib import Path

import torch
from transformers import MarianConfig, MarianMTModel

ROOT = Path(__file__).resolve().parent.parent
Shape = namedtuple("Shape", "layers width heads ffn words")
BASE = Shape(6, 512, 8, 2048, 32000)
TINY = Shape(1, 64, 2, 128, 300)    # for a trial without a GPU
SEED = 11
BASE_LINES = 64
BASE_LENGTHS = (5, 45)      # source tokens of a line: like edited text


def base_model(directory, shape=BASE):
    torch.manual_seed(SEED)
    pad_id = shape.words
    model = MarianMTModel(MarianConfig(
        encoder_layers=shape.layers, decoder_layers=shape.layers, d_model=shape.width,
        encoder_attention_heads=shape.heads, decoder_attention_heads=shape.heads, encoder_ffn_dim=shape.ffn,
        decoder_ffn_dim=shape.ffn,
        activation_function="relu", scale_embedding=True, vocab_size=pad_id + 1, decoder_vocab_size=pad_id + 1,
        max_position_embeddings=512, pad_token_id=pad_id, decoder_start_token_id=pad_id, eos_token_id=0,
        forced_eos_token_id=None, bos_token_id=None))
    with torch.no_grad():
        model.final_logits_bias[0, pad_id] = -1e4
        model.model.shared.weight[pad_id] = 0.0
    model.save_pretrained(directory)
    words = ["</s>", "<unk>"] + [f"w{i}" for i in range(shape.words - 2)] + ["<pad>"]
    (directory / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    return words[2:-1]


def prepare(out, shipped, text):
    import sentencepiece
    sys.path.insert(0, str(ROOT / "tests" / "peers"))
    import ctranslate2_peer
    out.mkdir(parents=True, exist_ok=True)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(shipped / "source.spm"))
    lines = text.read_text(encoding="utf-8").split("\n")[:-1]
    (out / "shipped.tokens").write_text("".join(
        " ".join(processor.encode(line, out_type=str) + ["</s>"]) + "\n" for line in lines), encoding="utf-8")
    words, draw = base_model(out / "base"), random.Random(SEED)
    sources = [[draw.choice(words) for _ in range(draw.randint(*BASE_LENGTHS))] for _ in range(BASE_LINES)]
    (out / "base.tokens").write_text("".join(" ".join(source + ["</s>"]) + "\n" for source in sources))
    for name, model in (("shipped", shipped), ("base", out / "base")):
        ctranslate2_peer.convert(model, out / f"{name}.ct2.f32")
        ctranslate2_peer.convert(model, out / f"{name}.ct2.int8", quantization="int8")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
