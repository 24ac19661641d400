"""Taggers that leave out the model, for what the rest of the worker costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from consumer.contracts.messages import (
    Article,
    Encoding,
    ModelInfo,
    ModelShare,
    PreparedArticle,
    TaggingResult,
    TextField,
)
from consumer.contracts.ports import Tagger


class TaggerKind(StrEnum):
    """How much of the tagger runs."""

    MODEL = "model"
    TOKENIZER = "tokenizer"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class NullEncoding:
    """So many tokens, by a rule of thumb: English has some four and a half bytes a token."""

    tokens: int


class NullTagger:
    """No tokeniser and no model: every article has no entities, at once."""

    overlaps = False
    encodings_at_once = 1

    def __init__(self) -> None:
        self.models = (ModelInfo("null", "0", "cpu", "float32", ()),)

    def encode(self, articles: Sequence[Article]) -> Sequence[Encoding]:
        """A number for each article."""
        return [
            NullEncoding(2 * len(one.fields) + _characters(one.fields) * 2 // 9) for one in articles
        ]

    def await_room(self) -> None:
        """There is."""

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        """No entities."""
        tokens = sum(article.encoding.tokens for article in articles)
        progress()
        share = ModelShare(self.models[0], tokens, tokens)
        result = TaggingResult.of_one_model(((),) * len(articles), share)
        return lambda: result


class TokenizerTagger(NullTagger):
    """The tokeniser of a real tagger, without its model: as beside a device that is faster than it.

    Args:
        tagger: gives the encodings.
    """

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self._tagger = tagger
        self.encodings_at_once = max(2, tagger.encodings_at_once)

    def encode(self, articles: Sequence[Article]) -> Sequence[Encoding]:
        """As the real one."""
        return self._tagger.encode(articles)


def _characters(fields: Sequence[TextField]) -> int:
    return sum([len(field.text) for field in fields])
