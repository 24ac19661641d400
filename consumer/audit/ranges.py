"""Which offsets of which partitions an audit is about, and in which parts it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from consumer.contracts.messages import Position, TopicPartition


class Range(NamedTuple):
    """Offsets of a partition; the end is not one of them."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return max(self.end - self.start, 0)


Ranges: TypeAlias = Mapping[TopicPartition, Range]


def size_of(ranges: Ranges) -> int:
    """Offsets in all of them."""
    return sum(one.size for one in ranges.values())


def contain(ranges: Ranges, position: Position) -> bool:
    """Whether a message stands in one of them."""
    found = ranges.get(position.topic_partition)
    return found is not None and found.start <= position.offset < found.end


def parts(ranges: Ranges, most: int) -> Iterator[dict[TopicPartition, Range]]:
    """The same offsets in parts of so many at most; one empty part where there are none."""
    part: dict[TopicPartition, Range] = {}
    left = most
    for partition, (start, end) in sorted(ranges.items()):
        while start < end:
            taken = min(left, end - start)
            part[partition] = Range(start, start + taken)
            start += taken
            left -= taken
            if not left:
                yield part
                part, left = {}, most
    if part or left == most == 0 or not size_of(ranges):
        yield part
