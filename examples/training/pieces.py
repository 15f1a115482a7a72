"""Makes the SentencePiece model: trains one, or gives a present one the signs that it lacks."""
import argparse
import sys
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from corpus import read_lines

NORMAL = 1           # SentencePiece's number for an ordinary piece
SIGNS = '@&_#'       # wanted by mail addresses and names; the training text has none of them


def train(arguments):
    """Joint pieces of both sides; the signs are always kept as single pieces."""
    texts = [str(Path(arguments.data, f'train.{language}')) for language in (arguments.source, arguments.target)]
    sentencepiece.SentencePieceTrainer.train(
        input=texts, model_prefix=arguments.out.removesuffix('.model'), vocab_size=arguments.size,
        model_type='unigram', character_coverage=1.0, required_chars=SIGNS, eos_id=0, unk_id=1, bos_id=-1,
        pad_id=-1, eos_piece='</s>', minloglevel=1)


def add_signs(arguments):
    """Puts the signs that `--from` lacks in the place of its rarest single characters, so that no id moves."""
    model = sentencepiece_model_pb2.ModelProto.FromString(Path(arguments.present).read_bytes())
    missing = [sign for sign in SIGNS if all(piece.piece != sign for piece in model.pieces)]
    used = set()
    for language in (arguments.source, arguments.target):
        used.update(*(set(line) for line in read_lines(Path(arguments.data, f'val.{language}'))))
    rarest = sorted((piece for piece in model.pieces if piece.type == NORMAL and len(piece.piece) == 1
                     and not piece.piece.isascii() and piece.piece not in used), key=lambda piece: piece.score)
    for sign, piece in zip(missing, rarest):
        print(f'{sign} takes the place of {piece.piece} (score {piece.score:.3f})')
        piece.piece = sign
    Path(arguments.out).write_bytes(model.SerializeToString())


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', required=True, help='folder with train.en, train.de and so on')
    parser.add_argument('--source', default='en')
    parser.add_argument('--target', default='de')
    parser.add_argument('--from', dest='present', help='give this model the missing signs; trains none')
    parser.add_argument('--size', type=int, default=8000, help='number of pieces of a new model')
    parser.add_argument('--out', required=True, help='the .model file to write')
    options = parser.parse_args()
    sys.exit(add_signs(options) if options.present else train(options))
