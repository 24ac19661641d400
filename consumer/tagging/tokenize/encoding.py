"""Texts in tokens: compact arrays, a few bytes a token."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from consumer.tagging.model.guard.panics import is_panic
from consumer.tagging.tokenize.segments import Segment, cut_segments
from consumer.tagging.tokenize.windows import END, START, cut_windows
from consumer.tagging.tokenize.words import (
    character_classes,
    code_points,
    readable,
    trim,
    word_starts,
)

#: Characters that one call of the tokenizer takes; bounds its memory, some hundred bytes a token.
CALL_CHARACTERS = 524_288

#: Stands between two texts that are looked at together. Its class is that of the end of a text.
_BETWEEN = "x"

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
        windows: as `consumer.tagging.tokenize.windows.cut_windows` gives them.
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


class TextTokenizer:
    """Tokenises articles. Any threads, several at once.

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
            together = _end_to_end([texts[index][one.start : one.end] for index, one in call])
            encodings = self._encodings(together.strings)
            for (index, _), part in zip(call, self._read(call, together, encodings), strict=True):
                parts[index].append(part)
        fields = iter([self._join(field_parts) for field_parts in parts])
        return [self._article([next(fields) for _ in article]) for article in articles]

    def _encodings(self, strings: Sequence[str]) -> list[Encoding]:
        try:
            found: list[Encoding] = self._tokenizer.encode_batch(strings, add_special_tokens=False)
        except Exception:
            raise
        except BaseException as panic:
            # Rust's panics are not derived from `Exception`, so that nobody handles them by
            # accident. Here one text is to blame, for which a regular expression took too much: the
            # worker must go on.
            if not is_panic(panic):
                raise
            raise RuntimeError(f"the tokenizer broke: {panic}") from panic
        return found

    def _read(
        self, call: Sequence[_Placed], together: _EndToEnd, encodings: Sequence[Encoding]
    ) -> list[_Part]:
        """The encodings of one call as arrays, all texts at once, since a text alone is short."""
        _, lengths, bases, points, classes = together
        counts = [len(encoding) for encoding in encodings]
        total = sum(counts)
        ids = np.fromiter(chain.from_iterable([one.ids for one in encodings]), np.int32, total)
        if self._unknown_id is not None:
            ids[np.isin(ids, self._reserved_ids)] = self._unknown_id
        pairs = chain.from_iterable([one.offsets for one in encodings])
        spans = np.fromiter(chain.from_iterable(pairs), np.int32, 2 * total)
        # Each text's first token.
        bounds = np.concatenate(([0], np.cumsum(counts)))
        shifts = np.repeat(bases, counts)
        raw_starts, raw_ends = spans[0::2] + shifts, spans[1::2] + shifts
        starts, ends = trim(raw_starts, raw_ends, classes)
        begins = word_starts(starts, ends, classes)
        begins[bounds[:-1][np.diff(bounds) > 0]] = True
        starts, ends = starts - shifts, ends - shifts
        parts = []
        for number, (_, segment) in enumerate(call):
            own = slice(bounds[number], bounds[number + 1])
            part = _Part(ids[own], starts[own], ends[own], begins[own])
            if self._unit_rule is not None:
                text = slice(bases[number], bases[number] + lengths[number])
                own_spans = raw_starts[own] - shifts[own], raw_ends[own] - shifts[own]
                part = part._replace(
                    begins_unit=self._unit_rule(part.ids, *own_spans, points[text])
                )
            is_cut = segment.start > 0
            parts.append(
                self._moved(part, segment, classes[bases[number]] == 0) if is_cut else part
            )
        return parts

    def _moved(self, part: _Part, segment: Segment, begins_with_a_letter: bool) -> _Part:
        """A segment's tokens at their places in the whole text."""
        ids, starts, ends, begins = part
        if len(ids) and ids[0] == self._space_id:
            # A tokenizer that strips its text gives this token the character after the space.
            ends = np.concatenate((starts[:1], ends[1:]))
        if segment.is_forced and self._unit_rule is None and len(ids) and begins_with_a_letter:
            begins[0] = False
        return _Part(ids, starts + np.int32(segment.start), ends + np.int32(segment.start), begins)

    def _join(self, parts: list[_Part]) -> FieldEncoding:
        ids, starts, ends, begins = parts[0]
        if len(parts) > 1:
            ids, starts, ends, begins = map(np.concatenate, zip(*parts, strict=True))
        if len(begins):
            begins[0] = True
        return FieldEncoding(
            ids, starts, ends, begins, cut_windows(begins, self._capacity, self._overlap)
        )

    def _article(self, fields: list[FieldEncoding]) -> ArticleEncoding:
        tokens = 0
        for field in fields:
            windows = len(field.windows)
            if windows == 1:  # as nearly always
                tokens += len(field.ids) + self._special_tokens
            elif windows:
                spans = field.windows[:, END] - field.windows[:, START]
                tokens += int(spans.sum()) + windows * self._special_tokens
        return ArticleEncoding(tuple(fields), tokens)


class _Part(NamedTuple):
    """One segment's tokens; arrays as in `FieldEncoding`."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    begins_unit: NDArray[np.bool_]


class _EndToEnd(NamedTuple):
    """The texts of a call, one behind the other, with a character between two that belongs to no
    token.

    Attributes:
        strings: what the tokenizer is given, see `readable`.
        lengths, bases: how long each is and where it begins, in characters.
        points, classes: of all, as `code_points` and `character_classes` give them.
    """

    strings: Sequence[str]
    lengths: NDArray[np.int32]
    bases: NDArray[np.int32]
    points: NDArray[np.uint32]
    classes: NDArray[np.uint8]


def _end_to_end(strings: Sequence[str]) -> _EndToEnd:
    lengths = np.array([len(string) for string in strings], dtype=np.int32)
    bases = np.cumsum(lengths + 1, dtype=np.int32) - lengths - 1
    given = code_points(_BETWEEN.join(strings))
    points, classes = readable(given, character_classes(given))
    if points is not given:
        text = points.tobytes().decode("utf-32-le")
        bounds = zip(bases.tolist(), (bases + lengths).tolist(), strict=True)
        strings = [text[start:end] for start, end in bounds]
    return _EndToEnd(strings, lengths, bases, points, classes)


#: A segment, and the number of its text.
_Placed: TypeAlias = tuple[int, Segment]


def _calls(texts: Sequence[str]) -> Iterator[list[_Placed]]:
    """The segments of all texts, grouped into calls of the tokenizer."""
    call: list[_Placed] = []
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
