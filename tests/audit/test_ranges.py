"""Ranges: an audit in parts is about the same offsets, each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumer.audit.ranges import Range, contain, parts, size_of
from consumer.contracts.messages import Position, TopicPartition

PARTITIONS = st.builds(TopicPartition, st.sampled_from(["a", "b"]), st.integers(0, 2))
RANGES = st.dictionaries(
    PARTITIONS, st.builds(lambda start, size: Range(start, start + size), *[st.integers(0, 20)] * 2)
)


def offsets(ranges: dict[TopicPartition, Range]) -> list[tuple[TopicPartition, int]]:
    return [(one, at) for one, (start, end) in sorted(ranges.items()) for at in range(start, end)]


@given(ranges=RANGES, most=st.integers(1, 15))
def test_the_parts_are_the_whole_and_none_is_too_large(
    ranges: dict[TopicPartition, Range], most: int
) -> None:
    found = list(parts(ranges, most))
    assert sorted(at for part in found for at in offsets(part)) == offsets(ranges)
    assert all(size_of(part) <= most for part in found)
    assert len(found) == max(-(-size_of(ranges) // most), 1)


def test_the_end_is_not_in_a_range() -> None:
    partition = TopicPartition("a", 0)
    held = {partition: Range(2, 4)}
    assert [at for at in range(6) if contain(held, Position(partition, at))] == [2, 3]
    assert not contain(held, Position(TopicPartition("b", 0), 2))
    assert Range(5, 2).size == 0
