"""Texts in tokens: compact arrays, a few bytes a token."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from consumer.tagging.segments import Segment, cut_segments
from consumer.tagging.windows import END, START, cut_windows
from consumer.tagging.words import character_classes, code_points, trim, word_starts

#: Characters that one call of the tokenizer takes; bounds its memory, some hundred bytes a token.
CALL_CHARACTERS = 524_288

#: A lone surrogate is no character, and a tokenizer takes none; the article keeps it.
_SURROGATES = re.compile("[\ud800-\udfff]")

#: What a SentencePiece tokenizer puts in the place of a space; may be a token of its own.
_SPACE_PIECE = "▁"

#: From token ids, untrimmed starts and ends, and the text's code points to `begins_unit`.
UnitRule: TypeAlias = Callable[
    [NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.uint32]], NDArray[np.bool_]
]


@dataclass(frozen=True, slots=True, eq=False)
class FieldEncoding:
    """One text field in n tokens, special tokens left out.

    Attributes:
        ids: the tokens, shape (n,).
        starts, ends: their code points in the field, white space trimmed; shape (n,).
        begins_unit: whether a unit (see `consumer.tagging.entities`) begins there, shape (n,).
        windows: as `consumer.tagging.windows.cut_windows` gives them.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    begins_unit: NDArray[np.bool_]
    windows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ArticleEncoding:
    """An article's fields in tokens, in their order.

    Attributes:
        fields: one encoding a field.
        tokens: tokens that the device computes, special tokens and overlaps included.
    """

    fields: tuple[FieldEncoding, ...]
    tokens: int


class Encoder:
    """Tokenises articles. Not safe for use from several threads at once.

    Args:
        tokenizer: without truncation and padding.
        capacity: tokens that a window holds beside the special tokens.
        special_tokens: special tokens that each window has.
        reserved_ids: ids that no text may have; some tokenizers read `<s>` as the token.
        unknown_id: what such an id becomes.
        overlap: tokens that neighbouring windows share.
        unit_rule: where units begin; None takes words, which are the same for every tokenizer.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        capacity: int,
        special_tokens: int,
        reserved_ids: Collection[int],
        unknown_id: int | None,
        overlap: int,
        unit_rule: UnitRule | None,
    ) -> None:
        self._tokenizer = tokenizer
        self._reserved_ids = np.array(sorted(reserved_ids), dtype=np.int32)
        self._unknown_id = unknown_id
        self._space_id = tokenizer.token_to_id(_SPACE_PIECE)
        self._capacity = capacity
        self._special_tokens = special_tokens
        self._overlap = overlap
        self._unit_rule = unit_rule

    def encode(self, articles: Sequence[Sequence[str]]) -> list[ArticleEncoding]:
        """Tokenise articles, each the texts of its fields, in as few calls as memory allows."""
        texts = [text for article in articles for text in article]
        parts: list[list[_Part]] = [[] for _ in texts]
        for call in _calls(texts):
            strings = [
                _SURROGATES.sub("\ufffd", texts[index][segment.start : segment.end])
                for index, segment in call
            ]
            encodings = self._tokenizer.encode_batch(strings, add_special_tokens=False)
            for (index, segment), string, encoding in zip(call, strings, encodings, strict=True):
                parts[index].append(self._read(segment, string, encoding.ids, encoding.offsets))
        fields = iter([self._join(field_parts) for field_parts in parts])
        return [self._article([next(fields) for _ in article]) for article in articles]

    def _read(
        self, segment: Segment, text: str, ids: list[int], offsets: list[tuple[int, int]]
    ) -> _Part:
        id_array = np.array(ids, dtype=np.int32)
        if self._unknown_id is not None:
            id_array[np.isin(id_array, self._reserved_ids)] = self._unknown_id
        spans = np.array(offsets, dtype=np.int32).reshape(-1, 2)
        points = code_points(text)
        classes = character_classes(points)
        starts, ends = trim(spans[:, 0], spans[:, 1], classes)
        if segment.start and len(ids) and ids[0] == self._space_id:
            # A tokenizer that strips its text gives this token the character after the space.
            ends = np.concatenate((starts[:1], ends[1:]))
        if self._unit_rule is None:
            begins = word_starts(starts, ends, classes)
        else:
            begins = self._unit_rule(id_array, spans[:, 0], spans[:, 1], points)
        if segment.is_forced and self._unit_rule is None and len(begins) and classes[0] == 0:
            begins[0] = False
        return id_array, starts + np.int32(segment.start), ends + np.int32(segment.start), begins

    def _join(self, parts: list[_Part]) -> FieldEncoding:
        ids, starts, ends, begins = (
            np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
            for arrays in zip(*parts, strict=True)
        )
        if len(begins):
            begins[0] = True
        return FieldEncoding(
            ids=ids,
            starts=starts,
            ends=ends,
            begins_unit=begins,
            windows=cut_windows(begins, self._capacity, self._overlap),
        )

    def _article(self, fields: list[FieldEncoding]) -> ArticleEncoding:
        tokens = sum(
            int((field.windows[:, END] - field.windows[:, START] + self._special_tokens).sum())
            for field in fields
        )
        return ArticleEncoding(tuple(fields), tokens)


#: Ids, starts, ends and unit beginnings of one segment.
_Part: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]


def _calls(texts: Sequence[str]) -> Iterator[list[tuple[int, Segment]]]:
    """The segments of all texts, grouped into calls of the tokenizer."""
    call: list[tuple[int, Segment]] = []
    characters = 0
    for index, text in enumerate(texts):
        for segment in cut_segments(text):
            size = segment.end - segment.start
            if call and characters + size > CALL_CHARACTERS:
                yield call
                call, characters = [], 0
            call.append((index, segment))
            characters += size
    if call:
        yield call
