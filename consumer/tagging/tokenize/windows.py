"""Long texts in overlapping windows, cut between words: plain arrays, no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Columns of the array that `cut_windows` gives.
START, END, OWN_START, OWN_END = range(4)

#: An edge of the text is no edge of the context: nothing lies beyond it.
_NO_EDGE = 1 << 40


def cut_windows(begins_word: NDArray[np.bool_], capacity: int, overlap: int) -> NDArray[np.int64]:
    """Cut a text of n tokens into windows.

    Windows begin and end between words, except within a word that is longer than a window. Each
    token is owned by one window, whole words by the same one: the window in which the word is
    farthest from the nearer window edge. No token is left out.

    Args:
        begins_word: for each token whether a word begins there, shape (n,).
        capacity: most tokens that a window holds, special tokens not counted.
        overlap: tokens that neighbours share at least, words permitting; at most half of the
            capacity is used.

    Returns:
        One row a window, columns `START, END, OWN_START, OWN_END` (ends exclusive); the owned
        ranges follow one another from 0 to n. Shape (windows, 4); no rows for an empty text.
    """
    count = len(begins_word)
    if count == 0:
        return np.zeros((0, 4), dtype=np.int64)
    if count <= capacity:
        return np.array([[0, count, 0, count]], dtype=np.int64)
    # Word i is tokens bounds[i] to bounds[i + 1]; the first token begins one in any case.
    bounds = np.flatnonzero(begins_word[1:]) + 1
    bounds = np.concatenate(([0], bounds, [count]))
    spans = _spans(bounds, count, capacity, min(overlap, capacity // 2))
    rows = np.zeros((len(spans), 4), dtype=np.int64)
    rows[:, :2] = spans
    for index in range(len(spans) - 1):
        rows[index + 1, OWN_START] = _cut(bounds, spans[index], spans[index + 1], count)
    # A window that lies wholly in the better parts of its neighbours owns nothing.
    rows[:, OWN_START] = np.maximum.accumulate(rows[:, OWN_START])
    rows[:-1, OWN_END] = rows[1:, OWN_START]
    rows[-1, OWN_END] = count
    return rows


def _spans(
    bounds: NDArray[np.int64], count: int, capacity: int, overlap: int
) -> list[tuple[int, int]]:
    """The windows; each ends after the one before it."""
    spans: list[tuple[int, int]] = []
    start = end = 0
    while True:
        full = start + capacity
        if full >= count:
            spans.append((start, count))
            return spans
        fitting = int(bounds[bounds.searchsorted(full, side="right") - 1])
        # Nothing new would fit whole: the next word is longer than what is left, so cut it.
        end = fitting if fitting > end else full
        spans.append((start, end))
        start = _next_start(bounds, start, end, capacity, overlap)


def _next_start(
    bounds: NDArray[np.int64], start: int, end: int, capacity: int, overlap: int
) -> int:
    """Where the window after [start, end) begins."""
    position = int(bounds.searchsorted(end, side="right"))
    is_between_words = int(bounds[position - 1]) == end
    # The window must hold the next word whole, or else it would end where this one does.
    lowest = start + 1
    if is_between_words and int(bounds[position]) - end <= capacity:
        lowest = max(lowest, int(bounds[position]) - capacity)
    ideal = max(end - overlap, lowest)
    below = int(bounds[bounds.searchsorted(ideal, side="right") - 1])
    if below >= lowest:
        return below
    above = int(bounds[bounds.searchsorted(ideal)])
    if above <= end and above < int(bounds[-1]):
        return above
    return ideal


def _cut(
    bounds: NDArray[np.int64], left: tuple[int, int], right: tuple[int, int], count: int
) -> int:
    """The first token that belongs to the right one of two neighbouring windows."""
    low, high = right[0], left[1]
    first, last = bounds.searchsorted((low, high))
    if first == last and int(bounds[first]) != low:
        # The overlap lies within one word, which is longer than a window.
        return (low + high) // 2
    begins = bounds[first:last]
    ends = bounds[first + 1 : last + 1]
    better = _context(begins, ends, right, count) > _context(begins, ends, left, count)
    # The difference of the two contexts never falls with the position, so one cut is enough.
    return int(begins[np.argmax(better)]) if better.any() else high


def _context(
    begins: NDArray[np.int64], ends: NDArray[np.int64], window: tuple[int, int], count: int
) -> NDArray[np.int64]:
    """Tokens between each word and the nearer edge of the window; 0 where the word is cut."""
    before = begins - window[0] if window[0] > 0 else np.full(len(begins), _NO_EDGE)
    after = window[1] - ends if window[1] < count else np.full(len(ends), _NO_EDGE)
    return np.maximum(np.minimum(before, after), 0)
