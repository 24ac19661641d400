"""A tiny tokenizer of each form that checkpoints come in, with the `TextTokenizer` around it.

The SentencePiece ones have the real character map of `nmt_nfkc`, and the steps around it as the
files of the named checkpoints have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from consumer.tagging.tokenize.encoding import TextTokenizer
from tests.support.models.charsmap import precompiled_charsmap
from tests.support.models.tiny_models import FAMILIES, _pieces

#: Longest input; no text of the tests is cut into windows.
MAX_LENGTH = 512


def _metaspace() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Metaspace(prepend_scheme="always")


def _by_words() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), _metaspace()])


def _map() -> normalizers.Normalizer:
    return normalizers.Precompiled(precompiled_charsmap())


def _one_space() -> normalizers.Normalizer:
    return normalizers.Replace(Regex(" {2,}"), " ")


def _unigram(
    normalizer: normalizers.Normalizer, pre_tokenizer: pre_tokenizers.PreTokenizer | None
) -> Tokenizer:
    scores = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")]
    scores += [(piece, 2.0 * len(piece) - 8.0) for piece in _pieces(_metaspace())]
    known = {name for name, _ in scores}
    printable = (chr(point) for point in range(0x21, 0x7F))
    scores += [(piece, -9.0) for piece in ("▁", *printable) if piece not in known]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=3))
    tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


def _quotes() -> list[normalizers.Normalizer]:
    return [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]


def _spaces_as_pieces() -> list[normalizers.Normalizer]:
    return [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]


_SENTENCEPIECE: Mapping[str, Callable[[], Tokenizer]] = {
    "xlm-r": lambda: _unigram(_map(), _by_words()),
    "xlm-r converted": lambda: _unigram(
        normalizers.Sequence(
            [_map(), normalizers.Strip(left=False), normalizers.Replace(Regex(" {2,}"), "▁")]
        ),
        _metaspace(),
    ),
    "deberta-v3": lambda: _unigram(
        normalizers.Sequence([normalizers.Strip(), _map(), _one_space()]), _metaspace()
    ),
    "albert": lambda: _unigram(
        normalizers.Sequence(
            [
                *_quotes(),
                normalizers.NFKD(),
                normalizers.StripAccents(),
                normalizers.Lowercase(),
                _map(),
                _one_space(),
            ]
        ),
        _by_words(),
    ),
    "xlnet": lambda: _unigram(
        normalizers.Sequence(
            [*_quotes(), normalizers.NFKD(), normalizers.StripAccents(), _map(), _one_space()]
        ),
        _metaspace(),
    ),
    "prefix at the first word": lambda: _unigram(
        _map(), pre_tokenizers.Metaspace(prepend_scheme="first")
    ),
    "no prefix": lambda: _unigram(_map(), pre_tokenizers.Metaspace(prepend_scheme="never")),
    "pieces across words": lambda: _unigram(
        _map(), pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    ),
    "spaces by the normalizer": lambda: _unigram(
        normalizers.Sequence([_map(), *_spaces_as_pieces()]), None
    ),
    "nfkc": lambda: _unigram(
        normalizers.Sequence([normalizers.NFKC(), _one_space()]), _metaspace()
    ),
    "nmt": lambda: _unigram(
        normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), _one_space()]), _metaspace()
    ),
}

#: Every form: those of the tiny models, and those of SentencePiece.
FORMS = (*FAMILIES, *(f"sentencepiece: {name}" for name in _SENTENCEPIECE))


@cache
def tiny_tokenizer(form: str) -> Tokenizer:
    """The tokenizer of a form, as `consumer.tagging.model.loaded_model` would make it ready."""
    if form in FAMILIES:
        make, _ = FAMILIES[form]
        tokenizer = Tokenizer.from_str(make(MAX_LENGTH).backend_tokenizer.to_str())
    else:
        tokenizer = _SENTENCEPIECE[form.partition(": ")[2]]()
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


@cache
def tiny_text_tokenizer(form: str) -> TextTokenizer:
    """The one of the strategy `word` around it."""
    return TextTokenizer(
        tiny_tokenizer(form),
        capacity=MAX_LENGTH,
        special_tokens=2,
        reserved_ids=(),
        unknown_id=None,
        overlap=0,
        unit_rule=None,
    )
