"""Removals: ranges of offsets that were gone, and how much of a range that was."""

from __future__ import annotations

import pytest

from consumer.kafka.source.runs.removals import Removals
from tests.support.memory.fake_client import ONE, TWO


@pytest.mark.parametrize(
    ("noted", "start", "end", "gone"),
    [
        ((), 0, 100, 0),
        (((10, 20),), 0, 100, 10),
        (((10, 20),), 15, 100, 5),
        (((10, 20),), 0, 12, 2),
        (((10, 20),), 20, 100, 0),
        (((10, 20),), 30, 5, 0),
        (((10, 20), (30, 40)), 15, 35, 10),
        # After a rewind the same is found gone again, and more of it.
        (((10, 20), (5, 25)), 0, 100, 20),
        (((5, 25), (10, 20)), 0, 100, 20),
        (((10, 20), (20, 30)), 0, 100, 20),
        (((10, 10),), 0, 100, 0),
    ],
)
def test_each_offset_counts_once(
    noted: tuple[tuple[int, int], ...], start: int, end: int, gone: int
) -> None:
    removals = Removals()
    for one in noted:
        removals.note(ONE, *one)
    assert removals.between(ONE, start, end) == gone
    assert removals.between(TWO, start, end) == 0
