"""Windows: every token once, words whole, and each word where it has the most context."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.tagging.tokenize.windows import END, OWN_END, OWN_START, START, cut_windows


def begins(*word_lengths: int) -> np.ndarray:
    """`begins_word` of a text of words of these lengths."""
    flags = np.zeros(sum(word_lengths), dtype=np.bool_)
    flags[np.cumsum([0, *word_lengths[:-1]])] = True
    return flags


def test_a_text_within_the_limit_is_one_window() -> None:
    assert cut_windows(begins(3, 2), capacity=5, overlap=2).tolist() == [[0, 5, 0, 5]]


def test_an_empty_text_has_no_windows() -> None:
    assert cut_windows(np.zeros(0, dtype=np.bool_), capacity=5, overlap=2).shape == (0, 4)


def test_windows_overlap_and_share_the_overlap_by_context() -> None:
    # Ten words of one token, windows of six, two shared: [0,6) and [4,10). Word 4 has one token
    # between it and the edge of the first window and none in the second; word 5 the reverse.
    assert cut_windows(begins(*[1] * 10), capacity=6, overlap=2).tolist() == [
        [0, 6, 0, 5],
        [4, 10, 5, 10],
    ]


def test_a_word_is_not_cut_where_it_fits_a_window() -> None:
    # The second word does not fit the first window any more, so that one ends before it.
    windows = cut_windows(begins(3, 4, 3), capacity=6, overlap=2)
    assert windows[:, START].tolist() == [0, 3, 7]
    assert windows[:, END].tolist() == [3, 7, 10]


def test_a_word_longer_than_a_window_is_cut_and_no_token_is_lost() -> None:
    windows = cut_windows(begins(2, 100, 2), capacity=10, overlap=4)
    assert windows[-1, END] == 104
    assert (windows[:, END] - windows[:, START]).max() == 10
    owned = np.concatenate([np.arange(row[OWN_START], row[OWN_END]) for row in windows])
    assert owned.tolist() == list(range(104))


def test_the_number_of_windows_grows_with_the_text_and_not_faster() -> None:
    # Short words before long ones tempt a cutter into windows that advance by one token.
    flags = begins(*([1] * 20 + [45]) * 400)
    windows = cut_windows(flags, capacity=50, overlap=25)
    assert len(windows) < 3 * len(flags) / 25


@pytest.mark.parametrize("overlap", [0, 1, 127, 255, 10_000])
def test_a_million_tokens(overlap: int) -> None:
    draw = np.random.default_rng(3)
    flags = draw.random(1_000_000) < 0.7
    windows = cut_windows(flags, capacity=510, overlap=overlap)
    assert windows[0, OWN_START] == 0
    assert windows[-1, OWN_END] == 1_000_000
    assert (windows[1:, OWN_START] == windows[:-1, OWN_END]).all()
    assert (windows[:, END] - windows[:, START]).max() <= 510


@given(
    words=st.lists(st.integers(1, 12), min_size=1, max_size=120),
    capacity=st.integers(12, 40),
    overlap=st.integers(0, 25),
)
def test_every_word_is_whole_and_stands_where_it_has_the_most_context(
    words: list[int], capacity: int, overlap: int
) -> None:
    flags = begins(*words)
    count = len(flags)
    windows = cut_windows(flags, capacity, overlap)
    assert (windows[1:, OWN_START] == windows[:-1, OWN_END]).all()
    assert windows[0, OWN_START] == 0
    assert windows[-1, OWN_END] == count
    assert (windows[:, START] <= windows[:, OWN_START]).all()
    assert (windows[:, OWN_END] <= windows[:, END]).all()
    assert (windows[:, END] - windows[:, START] <= capacity).all()
    edges = {*np.flatnonzero(flags).tolist(), count}
    assert edges.issuperset(windows.ravel().tolist())

    def context(start: int, end: int, window: np.ndarray) -> float:
        """Tokens to the nearer edge; -1 outside. An end of the text is no edge."""
        if start < window[START] or end > window[END]:
            return -1
        left = start - window[START] if window[START] > 0 else np.inf
        right = window[END] - end if window[END] < count else np.inf
        return float(min(left, right))

    end = 0
    for length in words:
        start, end = end, end + length
        owner = next(row for row in windows if row[OWN_START] <= start < row[OWN_END])
        assert context(start, end, owner) == max(context(start, end, row) for row in windows)


@given(
    words=st.lists(st.integers(1, 60), min_size=1, max_size=60),
    capacity=st.integers(2, 20),
    overlap=st.integers(0, 25),
)
def test_no_token_is_left_out_whatever_the_words(
    words: list[int], capacity: int, overlap: int
) -> None:
    windows = cut_windows(begins(*words), capacity, overlap)
    assert windows[0, OWN_START] == 0
    assert windows[-1, OWN_END] == sum(words)
    assert (windows[1:, OWN_START] == windows[:-1, OWN_END]).all()
    assert (windows[1:, END] > windows[:-1, END]).all()
    assert (windows[:, END] - windows[:, START] <= capacity).all()
    assert (windows[:, OWN_START] <= windows[:, OWN_END]).all()
    owning = windows[windows[:, OWN_START] < windows[:, OWN_END]]
    assert (owning[:, START] <= owning[:, OWN_START]).all()
    assert (owning[:, OWN_END] <= owning[:, END]).all()
