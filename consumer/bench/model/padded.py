"""PaddedPeer: a runtime that takes rectangles of tokens, given them as well as they can be cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from consumer.bench.model.contest import Clock
from consumer.tagging.engine.engine import Answer

#: Tokens of a rectangle, padding included, that are tried; fewer or more made no peer faster on the
#: machines we had.
RECTANGLES = (1_024, 2_048)

#: Tokens of the windows on which they are tried.
_TRIED_TOKENS = 6_000


class Runtime(Protocol):
    """A compiled model."""

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits, shape (windows, tokens, outputs), of windows filled up to the longest.

        Args:
            ids, mask: shape (windows, tokens); the mask is 1 where there is text.
        """
        ...


class PaddedPeer:
    """Sorts windows by length, so that little is filled up. Fulfils `Engine`.

    Args:
        runtime: what runs the rectangles.
        pad_id: the token that fills up.
    """

    #: It sorts by itself.
    pads = False
    skips_unread = False

    def __init__(self, runtime: Runtime, pad_id: int) -> None:
        self._runtime = runtime
        self._pad_id = pad_id
        self.rectangle_tokens = RECTANGLES[-1]

    def choose_rectangle(self, windows: Sequence[NDArray[np.int32]], clock: Clock) -> None:
        """Take the size that is fastest on the first of these windows; the second run counts."""
        ends = np.cumsum([len(window) for window in windows])
        tried = windows[: 1 + int(np.searchsorted(ends, _TRIED_TOKENS))]
        seconds = {}
        for self.rectangle_tokens in RECTANGLES:
            self.run(tried)
            begin = clock()
            self.run(tried)
            seconds[self.rectangle_tokens] = clock() - begin
        self.rectangle_tokens = min(seconds, key=lambda size: seconds[size])

    def run(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        """See `Engine.run`."""
        found: list[NDArray[np.float32]] = [np.zeros((0, 0), dtype=np.float32)] * len(windows)
        for group in rectangles([len(window) for window in windows], self.rectangle_tokens):
            longest = max(len(windows[index]) for index in group)
            ids = np.full((len(group), longest), self._pad_id, dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, index in enumerate(group):
                ids[row, : len(windows[index])] = windows[index]
                mask[row, : len(windows[index])] = 1
            logits = self._runtime.logits(ids, mask)
            for row, index in enumerate(group):
                found[index] = logits[row, : len(windows[index])]
        return reduce_logits(np.concatenate(found))


def rectangles(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Indices of windows that run together, long ones first; a longer one alone."""
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if group and (len(group) + 1) * lengths[group[0]] > most_tokens:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def reduce_logits(logits: NDArray[np.float32]) -> Answer:
    """Label ids and scores of logits, shape (tokens, outputs)."""
    exponentials = np.exp(logits.astype(np.float32) - logits.max(axis=1, keepdims=True))
    return Answer(
        label_ids=logits.argmax(axis=1).astype(np.int16),
        scores=(1.0 / exponentials.sum(axis=1)).astype(np.float32),
        probabilities=None,
    )
