"""The windows of many articles at once: where their tokens are taken from and where answers go.

A batch has some two windows an article, each of a hundred tokens. A handful of numpy calls for each
window takes longer than a GPU takes to run it. So as much as possible is done once a pass, on the
tokens of all fields laid end to end. Plain arrays, no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from consumer.tagging.tokenize.encoding import ArticleEncoding
from consumer.tagging.tokenize.windows import END, OWN_END, OWN_START, START

_NO_IDS = np.zeros(0, dtype=np.int32)
_NO_FLAGS = np.zeros(0, dtype=np.bool_)
_NO_WINDOWS = np.zeros((0, 4), dtype=np.int64)


class WindowBatch:
    """The windows of a batch of articles, numbered in the order in which they are to run.

    Attributes:
        tokens: tokens of all fields, without special tokens.
        articles: for each window the number of its article.
        lengths: tokens of each window, special tokens included.

    Args:
        prefix, suffix: special tokens before and after a window's tokens.
        longest_first: windows of like length together; else in the order of the articles.
        reads_all: whether the answer of every token is read, or only of the first of a unit.
    """

    def __init__(
        self,
        articles: Sequence[ArticleEncoding],
        prefix: NDArray[np.int32],
        suffix: NDArray[np.int32],
        longest_first: bool,
        reads_all: bool,
    ) -> None:
        fields = [field for article in articles for field in article.fields]
        article_of_field = [
            number for number, article in enumerate(articles) for _ in article.fields
        ]
        self._prefix, self._suffix = prefix, suffix
        self._ids = np.concatenate([_NO_IDS, *[field.ids for field in fields]])
        self.tokens = len(self._ids)
        self._begins_unit = (
            None
            if reads_all
            else np.concatenate([_NO_FLAGS, *[field.begins_unit for field in fields]])
        )
        self._bounds = np.cumsum([0, *[len(field.ids) for field in fields]])
        self._field_articles = np.array(article_of_field, dtype=np.intp)
        rows = np.concatenate([_NO_WINDOWS, *[field.windows for field in fields]])
        field_of_window = np.repeat(
            np.arange(len(fields)), [len(field.windows) for field in fields]
        )
        lengths = rows[:, END] - rows[:, START] + len(prefix) + len(suffix)
        if longest_first:
            order = np.argsort(-lengths, kind="stable")
            rows, field_of_window, lengths = rows[order], field_of_window[order], lengths[order]
        # From a place in the field to the place among all tokens.
        rows = rows + self._bounds[field_of_window, None]
        self._lengths = lengths
        self._owned_from = rows[:, OWN_START]
        self._owned = rows[:, OWN_END] - rows[:, OWN_START]
        # Where the first kept token stands, counted from the window's first.
        self._skipped = len(prefix) + rows[:, OWN_START] - rows[:, START]
        self._spans: list[list[int]] = rows[:, : END + 1].tolist()
        self.articles: list[int] = self._field_articles[field_of_window].tolist()
        self.lengths: list[int] = lengths.tolist()

    def ids(self, windows: Sequence[int]) -> list[NDArray[np.int32]]:
        """The tokens of windows, special tokens included; views of one new array."""
        spans = [self._spans[window] for window in windows]
        pieces = [
            piece
            for start, end in spans
            for piece in (self._prefix, self._ids[start:end], self._suffix)
        ]
        flat = np.concatenate(pieces)
        ends = np.cumsum(self._lengths[windows])
        begins = [0, *ends.tolist()]
        return [flat[begin:end] for begin, end in pairwise(begins)]

    def places(self, windows: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the tokens that windows own stand in the answer of their pass, and where among
        `tokens`; both of shape (owned tokens,).

        Args:
            windows: those of the pass, in its order.
        """
        counts = self._owned[windows]
        return (
            _ranges(self.begins(windows) + self._skipped[windows], counts),
            _ranges(self._owned_from[windows], counts),
        )

    def is_read(self, windows: Sequence[int]) -> NDArray[np.bool_]:
        """Of which tokens of a pass the answer is read, special tokens included, shape (tokens,).

        Args:
            windows: those of the pass, in its order.
        """
        flags = np.zeros(int(self._lengths[windows].sum()), dtype=np.bool_)
        source, target = self.places(windows)
        flags[source] = True if self._begins_unit is None else self._begins_unit[target]
        return flags

    def begins(self, windows: Sequence[int]) -> NDArray[np.intp]:
        """Where each of the windows of a pass begins in it, shape (windows,)."""
        lengths = self._lengths[windows]
        begins: NDArray[np.intp] = np.cumsum(lengths) - lengths
        return begins

    def tokens_of(self, article: int) -> slice:
        """Where the tokens of an article stand among `tokens`."""
        first, after = np.searchsorted(self._field_articles, (article, article + 1))
        return slice(int(self._bounds[first]), int(self._bounds[after]))


def _ranges(starts: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """The integers from each start on, as many as its count, end to end."""
    ends = np.cumsum(counts)
    ranges: NDArray[np.intp] = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
    return ranges
