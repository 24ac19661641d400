"""AssignedPartitions: what this consumer has, under which numbers, and how far each was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from consumer.contracts.messages import RawMessage, TopicPartition


class AssignedPartitions:
    """What the source knows of its partitions; decides which messages may still be delivered.

    Every assignment of a partition and every rewind has its own number, which is never used again.
    """

    def __init__(self) -> None:
        self._next_number = count(1)
        self._numbers: dict[TopicPartition, int] = {}
        self._read: dict[TopicPartition, int] = {}
        self._reached: dict[TopicPartition, int] = {}
        self._epochs: dict[TopicPartition, int] = {}
        self._newest: dict[TopicPartition, int] = {}
        self._group_offsets: dict[TopicPartition, int] = {}
        self._put_off: dict[TopicPartition, tuple[int, float]] = {}
        self._topic_ids: dict[TopicPartition, str | None] = {}
        self._last_ids: dict[str, str] = {}
        #: Of a bounded run: the offset at which each partition ends.
        self.ends: Mapping[TopicPartition, int] = {}
        #: Rises whenever a number is given or taken away.
        self.changes = 0
        #: Rises with every assignment and every revocation, empty ones included.
        self.shares = 0

    def bound(self, ends: Mapping[TopicPartition, int]) -> None:
        """Nothing at or after these offsets is to be delivered."""
        self.ends = dict(ends)

    def add(self, partitions: Sequence[TopicPartition]) -> None:
        """These were assigned."""
        self.changes += 1
        self.shares += 1
        for one in partitions:
            self._numbers[one] = next(self._next_number)
            self._topic_ids.pop(one, None)

    def drop(self, partitions: Sequence[TopicPartition]) -> None:
        """These were revoked or lost."""
        self.changes += 1
        self.shares += 1
        for one in partitions:
            self._numbers.pop(one, None)
            self._read.pop(one, None)
            self._reached.pop(one, None)
            self._epochs.pop(one, None)
            self._newest.pop(one, None)
            self._group_offsets.pop(one, None)
            self._put_off.pop(one, None)
            self._topic_ids.pop(one, None)

    def rewind(self, partition: TopicPartition, offset: int, now: float) -> int | None:
        """Give the partition a new number, or None if it is not assigned. The rewind is put off
        until `rewound`."""
        if partition not in self._numbers:
            return None
        self.changes += 1
        number = self._numbers[partition] = next(self._next_number)
        self._read[partition] = offset
        self._put_off[partition] = (offset, now)
        return number

    def rewound(self, partition: TopicPartition) -> None:
        """The client now reads from where the partition was rewound to."""
        del self._put_off[partition]

    def put_off(self) -> Mapping[TopicPartition, tuple[int, float]]:
        """The rewinds that the client has still to be told of: offset, and since when."""
        return dict(self._put_off)

    def number(self, partition: TopicPartition) -> int | None:
        """The number for a message that the client hands out now; None if it must be dropped.

        A message must be dropped where its partition is no longer assigned. It must be too where
        the client has not been told of a rewind yet, since the message is then from before it.
        """
        return None if partition in self._put_off else self._numbers.get(partition)

    def readable(self) -> dict[tuple[str, int], tuple[TopicPartition, int]]:
        """Each partition that may be delivered now, with its number."""
        return {
            one: (one, number) for one, number in self._numbers.items() if one not in self._put_off
        }

    def passed(self, partition: TopicPartition, offset: int, epoch: int | None = None) -> None:
        """Reading of a partition now stands at this offset.

        Args:
            epoch: of the leader that wrote the message before this offset, where known.
        """
        if self.number(partition) is not None:
            self._read[partition] = offset
            self._reached[partition] = max(offset, self._reached.get(partition, 0))
            if epoch is not None:
                self._epochs[partition] = epoch
                self._newest[partition] = offset

    def reached(self, partition: TopicPartition) -> int | None:
        """The furthest that a partition was read since it was assigned, also before a rewind; None
        where nothing was read."""
        return self._reached.get(partition)

    def epochs(self) -> Mapping[TopicPartition, int]:
        """For each partition the newest leader epoch of which messages were read. By these the
        brokers tell whether a log was cut (KIP-320). A copy, so that any thread may ask."""
        return dict(self._epochs)

    def epochs_of(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """The same for offsets to commit, without those that stand past the newest message. What
        is between the two, a marker, may be of a later leader. With the epoch of the message a
        reader of the offset would take the log for cut. Any thread."""
        newest = dict(self._newest)
        return {
            one: epoch
            for one, epoch in self.epochs().items()
            if one in offsets and offsets[one] <= newest.get(one, -1)
        }

    def begun(self, partition: TopicPartition, offset: int) -> None:
        """The group has committed this offset, from which the assignment began."""
        if partition in self._numbers:
            self._group_offsets.setdefault(partition, offset)

    def group_offsets(self) -> Mapping[TopicPartition, int]:
        """What `begun` was told."""
        return dict(self._group_offsets)

    def vouch(self, partition: TopicPartition, topic_id: str | None) -> None:
        """The offsets of this assignment belong to the topic of this id; None: to the one whose id
        is told next."""
        if partition in self._numbers:
            self._topic_ids[partition] = topic_id
        if topic_id is not None:
            self._last_ids[partition.topic] = topic_id

    def last_topic_id(self, topic: str) -> str | None:
        """The id of the topic of that name that was read last, even if none of it is assigned
        now."""
        return self._last_ids.get(topic)

    def unvouched(self) -> list[TopicPartition]:
        """The partitions whose offsets belong to a topic that is not known yet."""
        if len(self._topic_ids) == len(self._numbers):
            return []
        return [one for one in self._numbers if one not in self._topic_ids]

    def topic_ids(self) -> Mapping[TopicPartition, str | None]:
        """What `vouch` was told; a copy, so that any thread may ask."""
        return dict(self._topic_ids)

    def is_current(self, raw: RawMessage) -> bool:
        """Whether a message was read under the number that its partition has now."""
        return self._numbers.get(raw.position.topic_partition) == raw.assignment

    def numbers(self) -> Mapping[TopicPartition, int]:
        """A copy, so that any thread may ask."""
        return dict(self._numbers)

    def read_offsets(self) -> Mapping[TopicPartition, int]:
        """Where reading stands, of each partition in which something was read."""
        return dict(self._read)

    def end_offsets(self, asked: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """The ends, by what the brokers said last; where reading is further, the end is at least
        there. An end that they never told is left out. If the reading position stood in for it, all
        that waits would be hidden."""
        return {
            one: max(offset, self._read.get(one, 0))
            for one, offset in asked.items()
            if one in self._numbers
        }
