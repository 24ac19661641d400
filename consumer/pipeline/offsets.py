"""OffsetTracker: which offsets may be committed, and what must be read again after an abort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consumer.articles import RawMessage, TopicPartition
from consumer.pipeline.observer import ReleaseReason


@dataclass(frozen=True, slots=True)
class Rewind:
    """Where a partition must be read again from, as long as its assignment is still this one."""

    offset: int
    assignment: int


@dataclass(slots=True)
class _Pending:
    assignment: int
    first: int
    next: int


class OffsetTracker:
    """Keeps, for each assigned partition, what the open transaction has resolved.

    Messages come in the order of their partition, since batches leave in the order in which
    they were made; so the offset to commit is the last resolved one plus one, and nothing
    unresolved lies before it. The tracker refuses a message that breaks this.
    """

    def __init__(self) -> None:
        self._assignments: dict[TopicPartition, int] = {}
        self._newest: dict[TopicPartition, int] = {}
        self._last: dict[TopicPartition, int] = {}
        self._pending: dict[TopicPartition, _Pending] = {}
        self._rewinding: set[TopicPartition] = set()

    def assign(self, assignments: Mapping[TopicPartition, int]) -> None:
        """These partitions are read from their committed offset, or again, from now on."""
        for partition, assignment in assignments.items():
            self._assignments[partition] = self._newest[partition] = assignment
            self._last.pop(partition, None)
            self._rewinding.discard(partition)

    def revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget these partitions. Their pending offsets must be committed or aborted before."""
        for partition in partitions:
            assert partition not in self._pending, f"{partition} has uncommitted outcomes"
            self._assignments.pop(partition, None)
            self._last.pop(partition, None)
            self._rewinding.discard(partition)

    def accepts(self, raw: RawMessage) -> bool:
        """Whether the message was read under the current assignment of its partition.

        Raises:
            RuntimeError: it was read under one that `assign` has not named yet. Letting it go
                would lose it; a defect of ours, which must stop the worker before it commits.
        """
        partition = raw.position.topic_partition
        if raw.assignment > self._newest.get(partition, -1):
            raise RuntimeError(f"{raw.position} came before its assignment {raw.assignment}")
        return self._assignments.get(partition) == raw.assignment

    def release_reason(self, raw: RawMessage) -> ReleaseReason:
        """Why a message that is not accepted was let go."""
        partition = raw.position.topic_partition
        if partition in self._rewinding or partition in self._assignments:
            return ReleaseReason.REWOUND
        return ReleaseReason.REVOKED

    def resolve(self, raw: RawMessage) -> None:
        """The message has its outcome in the open transaction.

        Raises:
            RuntimeError: an offset at or before the last one of its partition; a defect of ours,
                which must stop the worker before it commits.
        """
        partition, offset = raw.position
        last = self._last.get(partition)
        if last is not None and offset <= last:
            raise RuntimeError(f"{partition} came out of order: {offset} after {last}")
        self._last[partition] = offset
        pending = self._pending.get(partition)
        if pending is None:
            self._pending[partition] = _Pending(raw.assignment, offset, offset + 1)
        else:
            pending.next = offset + 1

    def pending(self) -> dict[TopicPartition, int]:
        """For each partition touched since the last commit: the offset to commit."""
        return {partition: pending.next for partition, pending in self._pending.items()}

    def pending_assignments(self) -> dict[TopicPartition, int]:
        """For each of the same partitions: the assignment that its offset was read under."""
        return {partition: pending.assignment for partition, pending in self._pending.items()}

    @property
    def rewinding(self) -> bool:
        """Whether a partition of an aborted transaction still waits to be read again."""
        return bool(self._rewinding)

    def committed(self) -> None:
        """What was pending is final."""
        self._pending.clear()

    def aborted(self) -> dict[TopicPartition, Rewind]:
        """What was pending is void: the partitions to read again, each from where.

        Nothing more of these partitions is accepted until `assign` names them again.
        """
        rewinds = {
            partition: Rewind(pending.first, pending.assignment)
            for partition, pending in self._pending.items()
        }
        for partition in rewinds:
            self._assignments.pop(partition, None)
            self._rewinding.add(partition)
        self._pending.clear()
        return rewinds
