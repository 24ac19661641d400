from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from consumer.dead_letters.offset_set import OffsetSet

offsets = st.sets(st.integers(0, 20_000), max_size=300)
spans = st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 9_000)), max_size=5)


def made(numbers: set[int]) -> OffsetSet:
    found = OffsetSet()
    for one in numbers:
        found.add(one)
    return found


def listed(found: OffsetSet) -> list[int]:
    return [one for first, last in found.ranges() for one in range(first, last + 1)]


@given(offsets, spans)
def test_it_is_a_set(numbers: set[int], ranges: list[tuple[int, int]]) -> None:
    found = made(numbers)
    wanted = set(numbers)
    for first, length in ranges:
        found.add_range(first, first + length)
        wanted |= set(range(first, first + length + 1))
    assert listed(found) == sorted(wanted)
    assert len(found) == len(wanted)
    assert found.first() == min(wanted, default=None)
    assert found.last() == max(wanted, default=None)
    assert all((one in found) == (one in wanted) for one in range(0, 30_000, 7))


@given(offsets, offsets)
def test_two_of_them(one: set[int], other: set[int]) -> None:
    first = made(one)
    assert listed(first.without(made(other))) == sorted(one - other)
    first.update(made(other))
    assert listed(first) == sorted(one | other)


@given(offsets)
def test_no_two_ranges_touch(numbers: set[int]) -> None:
    ranges = list(made(numbers).ranges())
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(ranges))


def test_ten_million_offsets_are_little() -> None:
    found = OffsetSet()
    found.add_range(0, 10_000_000)
    assert list(found.ranges()) == [(0, 10_000_000)]
    assert len(found._chunks) < 2_500


def test_an_empty_one() -> None:
    found = OffsetSet()
    assert (found.first(), found.last(), len(found), list(found.ranges())) == (None, None, 0, [])
    assert 3 not in found
