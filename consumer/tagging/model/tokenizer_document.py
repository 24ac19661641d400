"""A tokenizer's own document held against what the library makes of it.

A model is trained with the tokenizer that the document describes. Most classes of the library take
no more than its pieces and make the steps before them by their own rules, so that a class that is
not quite the document's reads other tokens, or unknown ones, without a word.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tokenizers import Encoding, Tokenizer
from transformers import PreTrainedTokenizerFast

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.panics import refused_where_it_breaks
from consumer.tagging.model.tokenizer_check import SAMPLE

#: The class that takes a document as it is, and the key that names it.
AS_IT_IS = "PreTrainedTokenizerFast"
CLASS_KEY = "tokenizer_class"

#: What classes treat differently: case, accents, punctuation, numbers, other scripts and widths.
_TEXTS = (
    "THE Minister of São Tomé and Zürich's Café aren't e-mailing Jean-Pierre O'Brien (b. 1956)",
    'U.S. GDP rose 3.5% to $12,345.67 in 2024; see https://example.org/a_b#c @home & "so on"...',
    "东京和北京 2024年 ＡＢＣ ﬁnance № ½ İstanbul naïve résumé  Ångström",
    *SAMPLE,
)

#: Fields of a document that a person may overrule by a key of the tokenizer's configuration.
_OVERRULED = {
    "BertNormalizer": {
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    },
    "ByteLevel": {"add_prefix_space": "add_prefix_space"},
}

#: What a document says of how words are cut into pieces, beside the pieces.
_CUTTING = (
    *("continuing_subword_prefix", "end_of_word_suffix", "max_input_chars_per_word"),
    *("byte_fallback", "ignore_merges", "fuse_unk"),
)

#: Share of a text that a class may make unknown and its document does not.
_MOST_UNKNOWN = 0.5

#: Tokens of a word that a message shows.
_SHOWN = 6

_CAPITALS = "THE CITY PAYS"

_log = logging.getLogger(__name__)


class _Difference(NamedTuple):
    """A word, and what the class and the document make of it."""

    word: str
    by_class: Encoding
    by_document: Encoding

    def __str__(self) -> str:
        pair = [one.tokens for one in (self.by_class, self.by_document)]
        if pair[0] == pair[1]:  # what is unknown is shown by its text
            pair = [
                [str(number) for number in one.ids] for one in (self.by_class, self.by_document)
            ]
        by_class, by_document = (" ".join(one[:_SHOWN]) or "nothing" for one in pair)
        return f"of {self.word[:40]!r} the class makes {by_class}, tokenizer.json {by_document}"


def as_document_says(
    name: str, made: Any, document: Mapping[str, Any], said: Mapping[str, Any]
) -> Any:
    """The tokenizer that the library made of a document, or the document's own where the two read
    text in different ways, which is told in the log. What the configuration says in so many words
    wins over the document, and the library's is kept where the document lacks some of its pieces.

    Args:
        name: the model, for errors.
        made: the library's fast tokenizer.
        document: `tokenizer.json`.
        said: the tokenizer's configuration, `tokenizer_config.json`.

    Raises:
        ModelError: the library's must be kept, and most of a text is unknown to it.
    """
    if "__init__" not in vars(type(made)) or type(made) is PreTrainedTokenizerFast:
        return made  # the library has read the document as it is
    backend = made.backend_tokenizer
    document = _overruled(document, said)
    with refused_where_it_breaks(name):
        if _reads_alike(backend, document):
            return made
        by_class = to_read_with(backend.to_str())
        by_document = to_read_with(json.dumps(document))
        difference = _difference(by_class, by_document)
        if difference is None:
            return made
        reason = _reason_to_keep(by_class, by_document, said)
        unknown = [_unknown_share(one, made.unk_token) for one in (by_class, by_document)]
    kind = said.get(CLASS_KEY) or type(made).__name__
    told = (
        f"model {name}: the class {kind} ({CLASS_KEY}) reads text in another way than its "
        f"tokenizer.json: {difference}"
    )
    as_it_is = f'write "{CLASS_KEY}": "{AS_IT_IS}" in tokenizer_config.json'
    if reason is None:
        _log.warning(
            "%s; it is read as tokenizer.json says; %s, so that other programs do so too",
            told,
            as_it_is,
        )
        special = {key: one for key, one in made.special_tokens_map.items() if isinstance(one, str)}
        return PreTrainedTokenizerFast(
            tokenizer_object=by_document,
            model_max_length=made.model_max_length,
            model_input_names=made.model_input_names,
            **special,
        )
    if unknown[0] > _MOST_UNKNOWN > unknown[1]:
        raise ModelError(
            f"{told}; {unknown[0]:.0%} of a text would be unknown; {as_it_is}, or put the "
            "tokenizer.json that belongs to the model beside it"
        )
    _log.warning(
        "%s; it is read as the class does, since %s; %s if the model was trained with "
        "tokenizer.json",
        told,
        reason,
        as_it_is,
    )
    return made


def _overruled(document: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what the tokenizer's configuration says in so many words."""
    # Without its pieces, which nothing overrules and which are most of it.
    steps = {key: document.get(key) for key in ("normalizer", "pre_tokenizer")}
    steps = json.loads(json.dumps(steps))
    for step in _objects(steps):
        for key, field in _OVERRULED.get(str(step.get("type")), {}).items():
            value = said.get(key)
            # For accents null means something: as the case has it.
            if type(value) is bool or (value is None and key in said and key == "strip_accents"):
                step[field] = value
    return {**document, **steps}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, (dict, list)):
            yield from _objects(one)


def _reads_alike(made: Tokenizer, document: Mapping[str, Any]) -> bool:
    """Whether both surely make the same tokens of the texts: words in the same parts, cut by the
    same rules. Without the document's pieces, which take up to a second to be read."""
    model = document["model"]
    kind = type(made.model).__name__
    if model.get("type", kind) != kind:
        return False
    for key in _CUTTING:
        if key in model and (getattr(made.model, key, None) or None) != (model[key] or None):
            return False
    steps = to_read_with(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": [],
                "normalizer": document.get("normalizer"),
                "pre_tokenizer": document.get("pre_tokenizer"),
                "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""},
            }
        )
    )
    return all(_parts(made, text) == _parts(steps, text) for text in _TEXTS)


def _parts(tokenizer: Tokenizer, text: str) -> list[str]:
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def to_read_with(document: str) -> Tokenizer:
    """The tokenizer of a document, which reads text of any length and fills nothing up."""
    tokenizer = Tokenizer.from_str(document)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _difference(by_class: Tokenizer, by_document: Tokenizer) -> _Difference | None:
    for text in _TEXTS:
        pair = [one.encode(text, add_special_tokens=False) for one in (by_class, by_document)]
        if pair[0].ids == pair[1].ids:
            continue
        for word in (*text.split(), text):
            pair = [one.encode(word, add_special_tokens=False) for one in (by_class, by_document)]
            if pair[0].ids != pair[1].ids:
                return _Difference(word, *pair)
    return None


def _reason_to_keep(
    by_class: Tokenizer, by_document: Tokenizer, said: Mapping[str, Any]
) -> str | None:
    """Why text is not read as the document says; None where it is."""
    pieces = by_document.get_vocab(with_added_tokens=True)
    # Special tokens that a class has of itself stand in no text.
    added = by_class.get_added_tokens_decoder().items()
    needed = {one.content: number for number, one in added if not one.special}
    for piece, number in (by_class.get_vocab(with_added_tokens=False) | needed).items():
        if pieces.get(piece) != number:
            return f"tokenizer.json has no {piece[:40]!r} of the number {number}"
    asked = said.get("do_lower_case")
    if type(asked) is bool and _lowers(by_class) == asked != _lowers(by_document):
        return f"tokenizer_config.json says do_lower_case {json.dumps(asked)}"
    return None


def _lowers(tokenizer: Tokenizer) -> bool:
    normalizer = tokenizer.normalizer
    read: str = _CAPITALS if normalizer is None else normalizer.normalize_str(_CAPITALS)
    return _CAPITALS.lower() in read


def _unknown_share(tokenizer: Tokenizer, unknown: str | None) -> float:
    """Share of the text that is unknown, in the language that the tokenizer knows best."""
    read = [tokenizer.encode(text, add_special_tokens=False).tokens for text in SAMPLE]
    return min(tokens.count(unknown or "") / len(tokens) if tokens else 1.0 for tokens in read)
