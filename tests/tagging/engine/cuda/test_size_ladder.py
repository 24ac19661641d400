"""SizeLadder: few rungs, none below the size, little filled up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.tagging.engine.cuda.size_ladder import SizeLadder

POWERS = (1, 2, 4, 8)


@given(
    size=st.integers(0, 1 << 20),
    smallest=st.sampled_from((8, 64, 256)),
    rungs=st.sampled_from(POWERS),
)
def test_a_rung_holds_the_size_and_little_more(size: int, smallest: int, rungs: int) -> None:
    ladder = SizeLadder(smallest, rungs)
    rung = ladder.rung(size)
    assert rung >= max(size, smallest)
    assert rung == smallest or (rung - size) * rungs < size
    assert ladder.rung(rung) == rung


def test_the_rungs_of_two_octaves() -> None:
    rungs = {SizeLadder(256, 8).rung(size) for size in range(1, 1025)}
    assert sorted(rungs) == [*range(256, 513, 32), *range(576, 1025, 64)]
    assert {SizeLadder(16, 1).rung(size) for size in range(200)} == {16, 32, 64, 128, 256}


@pytest.mark.parametrize(("smallest", "rungs"), [(0, 1), (12, 1), (16, 3), (16, 32)])
def test_what_is_no_ladder(smallest: int, rungs: int) -> None:
    with pytest.raises(ValueError, match=r"power of two|more rungs"):
        SizeLadder(smallest, rungs)
