"""Removals: which offsets of a run were gone before this worker read them."""

from __future__ import annotations

from consumer.contracts.messages import TopicPartition


class Removals:
    """Noted by the poll thread, asked by any. What was removed never comes back."""

    def __init__(self) -> None:
        # A tuple is replaced as a whole, so that another thread sees all of it or nothing. None
        # overlaps another.
        self._ranges: dict[TopicPartition, tuple[tuple[int, int], ...]] = {}

    def note(self, partition: TopicPartition, start: int, end: int) -> None:
        """Offsets from `start` to before `end` were gone when they were to be read."""
        merged: list[tuple[int, int]] = []
        for begin, stop in sorted((*self._ranges.get(partition, ()), (start, end))):
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            elif begin < stop:
                merged.append((begin, stop))
        self._ranges[partition] = tuple(merged)

    def between(self, partition: TopicPartition, start: int, end: int) -> int:
        """How many of the offsets from `start` to before `end` were gone."""
        return sum(
            max(0, min(stop, end) - max(begin, start))
            for begin, stop in self._ranges.get(partition, ())
        )
