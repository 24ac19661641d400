"""Ownership: knows which partitions this worker holds, and how far each is committed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from consumer.contracts.messages import RawMessage, TopicPartition


class Finished(NamedTuple):
    """All before this offset is finished, as long as its partition's assignment is this one."""

    offset: int
    assignment: int


class Ownership:
    """The poll thread writes what is assigned, the publish thread what is committed.

    The publish thread asks `owns` after it took the group metadata and before it commits. A
    partition that was taken away before is seen here; one taken away later is fenced by the
    metadata.
    """

    def __init__(self) -> None:
        self._assignments: dict[TopicPartition, int] = {}
        self._delivered: dict[TopicPartition, tuple[int, int] | None] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def add(self, assignments: Mapping[TopicPartition, int]) -> None:
        """These partitions are assigned, or are read again after a rewind, by these numbers."""
        with self._lock:
            for partition, assignment in assignments.items():
                self._assignments[partition] = assignment
                self._delivered[partition] = None
                self._committed.pop(partition, None)
            self._changes += 1

    def drop(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions are no longer ours."""
        with self._lock:
            for partition in partitions:
                self._assignments.pop(partition, None)
                self._delivered.pop(partition, None)
                self._committed.pop(partition, None)
            self._changes += 1

    @property
    def changes(self) -> int:
        """Grows whenever it changes what is ours, or under which number. Any thread."""
        return self._changes

    def holds(self, raw: RawMessage) -> bool:
        """Whether a message's partition is ours, under the number that the message was read under.
        Any thread. Where it is not, `owns` never says yes to that number again."""
        return self._assignments.get(raw.position.topic_partition) == raw.assignment

    @property
    def count(self) -> int:
        """How many partitions are ours."""
        return len(self._assignments)

    def owns(self, assignments: Mapping[TopicPartition, int]) -> bool:
        """Whether all of these are ours, under these numbers.

        A partition that went away and came back has another number. In between another worker may
        have committed what this worker still holds of it.
        """
        with self._lock:
            return all(
                self._assignments.get(partition) == assignment
                for partition, assignment in assignments.items()
            )

    def delivered(self, messages: Iterable[RawMessage]) -> None:
        """These messages were handed to the pipeline."""
        spans: dict[TopicPartition, tuple[int, int]] = {}
        for message in messages:
            partition, offset = message.position
            span = spans.get(partition)
            spans[partition] = (span[0] if span else offset, offset + 1)
        with self._lock:
            for partition, (first, end) in spans.items():
                if partition in self._delivered:
                    before = self._delivered[partition]
                    self._delivered[partition] = (before[0] if before else first, end)

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """These offsets, each the last resolved plus one, are final."""
        with self._lock:
            for partition, offset in offsets.items():
                if partition in self._delivered:
                    self._committed[partition] = offset

    def positions(self, reads: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """How far each partition is finished, where that is known.

        Where everything delivered is committed, the position is where reading stands. That is past
        the transaction markers, which take offsets but are never delivered.

        Args:
            reads: offset that is read next, markers passed.
        """
        positions = {}
        with self._lock:
            for partition, span in self._delivered.items():
                position: int | None
                committed = self._committed.get(partition)
                if _is_finished(span, committed):
                    position = max(
                        (x for x in (committed, reads.get(partition)) if x is not None),
                        default=None,
                    )
                else:
                    assert span is not None
                    position = span[0] if committed is None else committed
                if position is not None:
                    positions[partition] = position
        return positions

    def finished(self, reads: Mapping[TopicPartition, int]) -> dict[TopicPartition, Finished]:
        """Where reading stands in each partition of which everything delivered is committed.

        Args:
            reads: as for `positions`; nothing before these offsets may still be delivered.
        """
        with self._lock:
            return {
                partition: Finished(reads[partition], self._assignments[partition])
                for partition, span in self._delivered.items()
                if partition in reads and _is_finished(span, self._committed.get(partition))
            }

    def committed_offsets(self) -> dict[TopicPartition, int]:
        """What was committed in each partition since it was assigned, where something was."""
        with self._lock:
            return dict(self._committed)


def _is_finished(delivered: tuple[int, int] | None, committed: int | None) -> bool:
    """Whether all that was delivered is committed. The commit may also lie past it, behind
    transaction markers."""
    return delivered is None or (committed is not None and committed >= delivered[1])


def lags(
    ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Offsets between the position and the end, where both are known.

    The end is the high watermark, so that what waits behind an open transaction upstream counts.
    Where nothing waits the position is at the end, past all markers, and the lag is 0.
    """
    return {
        partition: max(0, ends[partition] - position)
        for partition, position in positions.items()
        if partition in ends
    }
