"""The character maps that SentencePiece puts into its models, made by SentencePiece itself."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache

import sentencepiece

from tests.support.models.tiny_models import SENTENCES

#: Numbers of fields in sentencepiece_model.proto: ModelProto.normalizer_spec, and in that
#: NormalizerSpec.precompiled_charsmap.
_NORMALIZER_SPEC, _PRECOMPILED_CHARSMAP = 3, 2


@cache
def precompiled_charsmap(rule: str = "nmt_nfkc") -> bytes:
    """The map of a rule, as `tokenizers.normalizers.Precompiled` takes it. XLM-R, DeBERTa-v3,
    ALBERT, T5 and others have that of `nmt_nfkc`, which is the default."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        vocab_size=190,
        hard_vocab_limit=False,
        normalization_rule_name=rule,
        minloglevel=2,
    )
    specification = dict(_fields(model.getvalue()))[_NORMALIZER_SPEC]
    return dict(_fields(specification))[_PRECOMPILED_CHARSMAP]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message that have a length; numbers are passed over."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        match key & 7:
            case 0:
                number()
            case 1:
                at += 8
            case 5:
                at += 4
            case _:
                length = number()
                yield key >> 3, message[at : at + length]
                at += length
