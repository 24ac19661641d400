"""How the windows of a batch are dealt out to passes."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from consumer.tagging.engine.cpu.passes import parts


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 200), st.integers(1, 4)
)
def test_parts_hold_each_window_once_and_are_small_and_even(
    lengths: list[int], most_tokens: int, streams: int
) -> None:
    found = parts(lengths, most_tokens, streams)
    assert sorted(itertools.chain(*found)) == list(range(len(lengths)))
    assert all(part == sorted(part) for part in found)
    sizes = [sum(lengths[index] for index in part) for part in found]
    assert max(sizes) - min(sizes) <= max(lengths)
    assert max(sizes) <= most_tokens + max(lengths)
    assert len(found) % streams == 0 or len(found) == len(lengths)
    if sum(lengths) <= most_tokens and streams == 1:
        assert len(found) == 1


def test_a_long_run_of_windows_gives_even_parts() -> None:
    assert [100 * len(part) for part in parts([100] * 21, 1_000)] == [700, 700, 700]


def test_parts_are_of_like_work() -> None:
    """Where the long windows lie together, too: attention takes longer for each of their tokens."""
    lengths = [256] * 8 + [32] * 64
    for part in parts(lengths, 1_024):
        assert [lengths[index] for index in part] == [256] * 2 + [32] * 16


def test_parts_keep_all_streams_busy() -> None:
    for count, expected in ((21, [600, 500, 500, 500]), (4, [200, 200]), (1, [100])):
        found = parts([100] * count, 1_000, streams=2)
        assert [100 * len(part) for part in found] == expected
