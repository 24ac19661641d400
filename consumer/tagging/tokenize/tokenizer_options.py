"""How a `TextTokenizer` is made for a tokenizer and a strategy; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from consumer.contracts.choices import Aggregation
from consumer.tagging.tokenize.encoding import TextTokenizer, UnitRule
from consumer.tagging.tokenize.hugging_face_units import every_token, pipeline_words


@dataclass(frozen=True, slots=True)
class TokenizerOptions:
    """What a `TextTokenizer` needs beside the tokenizer.

    Attributes:
        strategy: says where units begin.
        capacity, special_tokens, reserved_ids, unknown_id, overlap: as `TextTokenizer` takes them.
    """

    strategy: Aggregation
    capacity: int
    special_tokens: int
    reserved_ids: frozenset[int]
    unknown_id: int | None
    overlap: int


def make_text_tokenizer(tokenizer: Tokenizer, options: TokenizerOptions) -> TextTokenizer:
    """A `TextTokenizer` around a tokenizer without truncation and padding."""
    return TextTokenizer(
        tokenizer,
        capacity=options.capacity,
        special_tokens=options.special_tokens,
        reserved_ids=options.reserved_ids,
        unknown_id=options.unknown_id,
        overlap=options.overlap,
        unit_rule=_unit_rule(options.strategy, tokenizer, options.unknown_id),
    )


def _unit_rule(
    strategy: Aggregation, tokenizer: Tokenizer, unknown_id: int | None
) -> UnitRule | None:
    if strategy is Aggregation.WORD:
        return None
    if strategy in (Aggregation.NONE, Aggregation.SIMPLE):
        return every_token
    return pipeline_words(tokenizer, unknown_id)
