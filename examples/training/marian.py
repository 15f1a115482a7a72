"""Reads and writes models as Hugging Face MarianMT directories, without the transformers package."""
import json
import math
import shutil
import struct
from pathlib import Path

import numpy as np
import torch

from network import POSITIONS, Shape

EOS = 0
PAD_BIAS = -10000.0   # with it the pad entry has no share in the softmax
LONGEST_SOURCE = 64   # pieces; longer lines are cut into sentences by the program
NUMPY_TYPES = {'F16': np.float16, 'F32': np.float32}


def read_shape(folder):
    config = json.loads(Path(folder, 'config.json').read_text(encoding='utf-8'))
    return Shape(config['vocab_size'], config['d_model'], config['encoder_attention_heads'],
                 config['encoder_ffn_dim'], config['encoder_layers'], config['decoder_layers'])


def read_tensors(folder):
    """The tensors of model.safetensors by name, as float32."""
    blob = Path(folder, 'model.safetensors').read_bytes()
    size, = struct.unpack('<Q', blob[:8])
    tensors = {}
    for name, entry in json.loads(blob[8:8 + size]).items():
        if name == '__metadata__':
            continue
        array = np.frombuffer(blob, NUMPY_TYPES[entry['dtype']], math.prod(entry['shape']),
                              8 + size + entry['data_offsets'][0])
        tensors[name] = torch.tensor(array.astype(np.float32).reshape(entry['shape']))
    return tensors


def restore(model, folder):
    """Loads the weights of `folder`; layers that it lacks keep their fresh values and are returned."""
    tensors = read_tensors(folder)
    fresh = []
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            stored = tensors.get('model.' + name)
            if stored is None:
                fresh.append(name)
            else:
                parameter.copy_(stored)
        model.shared.weight[model.shape.pad] = 0
    return fresh


def write_tensors(path, tensors):
    header, blobs, offset = {'__metadata__': {'format': 'pt'}}, [], 0
    for name in sorted(tensors):
        data = tensors[name].detach().to(torch.float16).numpy().tobytes()
        header[name] = {'dtype': 'F16', 'shape': list(tensors[name].shape),
                        'data_offsets': [offset, offset + len(data)]}
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + b''.join(blobs))


def configuration(shape, dropout):
    return dict(
        architectures=['MarianMTModel'], model_type='marian', activation_function='swish', d_model=shape.width,
        encoder_layers=shape.encoder_layers, decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads, decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.ff, decoder_ffn_dim=shape.ff, vocab_size=shape.vocab, decoder_vocab_size=shape.vocab,
        pad_token_id=shape.pad, eos_token_id=EOS, bos_token_id=None, decoder_start_token_id=shape.pad,
        forced_eos_token_id=EOS, scale_embedding=True, static_position_embeddings=True, normalize_before=False,
        normalize_embedding=False, add_final_layer_norm=False, add_bias_logits=False,
        share_encoder_decoder_embeddings=True, tie_word_embeddings=True, max_position_embeddings=POSITIONS,
        max_source_length=LONGEST_SOURCE, dropout=dropout, attention_dropout=0.0, activation_dropout=0.0,
        is_encoder_decoder=True, num_hidden_layers=shape.encoder_layers, torch_dtype='float16')


def write_json(path, value, **layout):
    path.write_text(json.dumps(value, ensure_ascii=False, **layout), encoding='utf-8')


def export(model, weights, pieces, folder, languages, dropout):
    """Writes `weights` (by parameter name) with the shape of `model`; `pieces` is (processor, its file)."""
    processor, spm_file = pieces
    folder, shape = Path(folder), model.shape
    folder.mkdir(parents=True, exist_ok=True)
    bias = torch.zeros(1, shape.vocab)
    bias[0, shape.pad] = PAD_BIAS
    tensors = {'model.' + name: weight for name, weight in weights.items()}
    tensors['model.shared.weight'] = tensors['model.shared.weight'].clone()
    tensors['model.shared.weight'][shape.pad] = 0
    tensors['final_logits_bias'] = bias
    write_tensors(folder / 'model.safetensors', tensors)
    write_json(folder / 'config.json', configuration(shape, dropout), indent=1)
    write_json(folder / 'generation_config.json', dict(
        bad_words_ids=[[shape.pad]], decoder_start_token_id=shape.pad, eos_token_id=EOS, forced_eos_token_id=EOS,
        pad_token_id=shape.pad, max_length=POSITIONS, num_beams=4), indent=1)
    vocabulary = {processor.id_to_piece(i): i for i in range(shape.pad)}
    vocabulary['<pad>'] = shape.pad
    write_json(folder / 'vocab.json', vocabulary, indent=0)
    write_json(folder / 'tokenizer_config.json', dict(
        source_lang=languages[0], target_lang=languages[1], model_max_length=POSITIONS, separate_vocabs=False,
        tokenizer_class='MarianTokenizer'))
    for name in ('source.spm', 'target.spm'):
        if (folder / name).resolve() != Path(spm_file).resolve():
            shutil.copyfile(spm_file, folder / name)
