"""OffsetTracker: says which offsets may be committed, and what to read again after an abort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consumer.contracts.choices import ReleaseReason
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.pipeline.bookkeeping.ownership import Finished


@dataclass(frozen=True, slots=True)
class Rewind:
    """The offset to read a partition again from, as long as its assignment is still this one."""

    offset: int
    assignment: int


@dataclass(slots=True)
class _Pending:
    assignment: int
    first: int
    next: int


@dataclass(slots=True)
class _Partition:
    """One for each partition that was ever assigned; it is looked up for each message.

    Attributes:
        newest: number of its last assignment.
        assignment: the number under which messages are accepted now; None while none are.
        last: offset of the last message that was resolved under it; -1 before the first.
        pending: what the open transaction has resolved.
    """

    newest: int
    assignment: int | None
    last: int = -1
    pending: _Pending | None = None


class OffsetTracker:
    """Keeps, for each assigned partition, what the open transaction has resolved.

    Batches leave in the order in which they were made, so messages come in the order of their
    partition. The offset to commit is the last resolved one plus one, and nothing unresolved lies
    before it. The tracker refuses a message that breaks this order.
    """

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._rewinding: set[TopicPartition] = set()

    def assign(self, assignments: Mapping[TopicPartition, int]) -> None:
        """From now on accept these partitions under these numbers: newly assigned, or read
        again."""
        for partition, assignment in assignments.items():
            known = self._partitions.get(partition)
            pending = None if known is None else known.pending
            self._partitions[partition] = _Partition(assignment, assignment, pending=pending)
            self._rewinding.discard(partition)

    def revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget these partitions. Their pending offsets must be committed or aborted before."""
        for partition in partitions:
            known = self._partitions.get(partition)
            if known is not None:
                assert known.pending is None, f"{partition} has uncommitted outcomes"
                known.assignment = None
            self._rewinding.discard(partition)

    def accepts(self, raw: RawMessage) -> bool:
        """Whether the message was read under the current assignment of its partition.

        Raises:
            RuntimeError: the message was read under a number that `assign` has not named yet. To
                release it would lose it. This is a defect of ours, which must stop the worker
                before it commits.
        """
        known = self._partitions.get(raw.position.topic_partition)
        if known is None or raw.assignment > known.newest:
            raise RuntimeError(f"{raw.position} came before its assignment {raw.assignment}")
        return known.assignment == raw.assignment

    def release_reason(self, raw: RawMessage) -> ReleaseReason:
        """Why a message that is not accepted is released."""
        partition = raw.position.topic_partition
        known = self._partitions.get(partition)
        if partition in self._rewinding or (known is not None and known.assignment is not None):
            return ReleaseReason.REWOUND
        return ReleaseReason.REVOKED

    def resolve(self, raw: RawMessage) -> None:
        """Note that an accepted message has its outcome in the open transaction.

        Raises:
            RuntimeError: an offset at or before the last one of its partition; a defect of ours,
                which must stop the worker before it commits.
        """
        partition, offset = raw.position
        known = self._partitions[partition]
        if offset <= known.last:
            raise RuntimeError(f"{partition} came out of order: {offset} after {known.last}")
        known.last = offset
        if known.pending is None:
            known.pending = _Pending(raw.assignment, offset, offset + 1)
        else:
            known.pending.next = offset + 1

    def pending(self) -> dict[TopicPartition, int]:
        """For each partition touched since the last commit: the offset to commit."""
        return {partition: pending.next for partition, pending in self._pending()}

    def pending_assignments(self) -> dict[TopicPartition, int]:
        """For each of the same partitions: the assignment that its offset was read under."""
        return {partition: pending.assignment for partition, pending in self._pending()}

    def may_pass(self, partition: TopicPartition, finished: Finished) -> bool:
        """Whether an offset that no message moves may be committed: the partition is still read
        under that assignment, and no message from there on has been resolved."""
        known = self._partitions.get(partition)
        return (
            known is not None
            and known.assignment == finished.assignment
            and known.pending is None
            and known.last < finished.offset
        )

    @property
    def rewinding(self) -> bool:
        """Whether a partition of an aborted transaction still waits to be read again."""
        return bool(self._rewinding)

    def committed(self) -> None:
        """Note that what was pending is final."""
        for known in self._partitions.values():
            known.pending = None

    def aborted(self) -> dict[TopicPartition, Rewind]:
        """Drop what was pending. Returns the partitions to read again, and from which offsets.

        Nothing more of these partitions is accepted until `assign` names them again.
        """
        rewinds = {
            partition: Rewind(pending.first, pending.assignment)
            for partition, pending in self._pending()
        }
        for partition in rewinds:
            known = self._partitions[partition]
            known.assignment, known.pending = None, None
            self._rewinding.add(partition)
        return rewinds

    def _pending(self) -> list[tuple[TopicPartition, _Pending]]:
        return [
            (partition, known.pending)
            for partition, known in self._partitions.items()
            if known.pending is not None
        ]
