"""Marks: records in the dead-letter topic that say which of its dead letters were sent.

A mark stands in the partition of the dead letters that it names, behind them, and is written in
the transaction that sends them. So both are there or neither is, and whatever removes the
beginning of a partition removes a dead letter before its mark.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import orjson

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.headers import REPLAY_MARK
from consumer.contracts.messages import Outgoing, Position, RawMessage, TopicPartition
from consumer.dead_letters.offset_set import OffsetSet

#: Of the format of marks.
_VERSION = b"1"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose offsets a mark speaks of.

    Attributes:
        cluster: its id; empty where the brokers tell none.
        topic: the dead-letter topic.
    """

    cluster: str
    topic: str


def mark(
    origin: Origin, partition: int, to: str, sent: OffsetSet, at_ms: int, version: str
) -> Outgoing:
    """The mark of dead letters of one partition that were sent to one topic.

    Args:
        at_ms: the time, milliseconds since the epoch.
        version: nerstream's.
    """
    ranges = list(sent.ranges())
    first = ranges[0][0]
    value = {
        "what": "dead letters of this partition that were sent, as first and last offset",
        "cluster": origin.cluster,
        "topic": origin.topic,
        "partition": partition,
        "to": to,
        "sent": ranges,
        "version": version,
    }
    return Outgoing(
        topic=origin.topic,
        # Each has a key of its own, so that compaction would keep all.
        key=f"{REPLAY_MARK}/{to}/{partition}/{first}".encode(),
        value=orjson.dumps(value),
        headers=((REPLAY_MARK, _VERSION),),
        timestamp_ms=at_ms,
        partition=partition,
        position=Position(TopicPartition(origin.topic, partition), first),
    )


class Sent:
    """What the marks say that were read so far.

    Args:
        origin: whose marks count.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._sent: dict[int, dict[str, OffsetSet]] = {}

    def read(self, raw: RawMessage) -> None:
        """Take a mark in.

        Raises:
            KafkaProblem: it is of another cluster or topic, or cannot be read; what was sent is
                not known then.
        """
        where = raw.position.topic_partition
        place = f"{where.topic}/{where.partition}/{raw.position.offset}"
        if dict(raw.headers)[REPLAY_MARK] != _VERSION:
            raise KafkaProblem(
                f"the mark of a replay at {place} is of a later version of nerstream; use that one"
            )
        try:
            told = orjson.loads(raw.value or b"")
            origin = Origin(told["cluster"], told["topic"])
            partition, to = told["partition"], told["to"]
            ranges = [(first, last) for first, last in told["sent"]]
            _check(partition, to, ranges, raw.position.offset)
        except (KeyError, TypeError, ValueError) as wrong:
            raise KafkaProblem(
                f"the mark of a replay at {place} cannot be read ({wrong}), so it is not known "
                "what was sent; see what has written it, and delete the records up to it if need "
                "be (kafka-delete-records.sh)"
            ) from wrong
        if origin != self._origin or partition != where.partition:
            raise KafkaProblem(
                f"the mark of a replay at {place} speaks of {origin.topic}[{partition}] on the "
                f"cluster {origin.cluster or 'without an id'}: this topic is a copy, whose offsets "
                "are others, so it is not known what was sent; give the worker here a "
                "dead_letter_topic of its own"
            )
        topics = self._sent.setdefault(where.partition, {})
        offsets = topics.setdefault(to, OffsetSet())
        for first, last in ranges:
            offsets.add_range(first, last)

    def destinations(self, partition: int, offset: int) -> tuple[str, ...]:
        """The topics that this dead letter was sent to, sorted."""
        topics = self._topics(partition)
        return tuple(sorted(to for to, offsets in topics.items() if offset in offsets))

    def blocking(self, partition: int, to: str, again: Collection[str]) -> OffsetSet:
        """The offsets of a partition that were sent, so that they must not be sent to a topic.

        Args:
            again: topics, other than `to`, that a letter may have been sent to before.
        """
        found = OffsetSet()
        for topic, offsets in self._topics(partition).items():
            if topic == to or topic not in again:
                found.update(offsets)
        return found

    def any(self, partition: int) -> OffsetSet:
        """All offsets of a partition that were sent to some topic."""
        found = OffsetSet()
        for offsets in self._topics(partition).values():
            found.update(offsets)
        return found

    def _topics(self, partition: int) -> Mapping[str, OffsetSet]:
        return self._sent.get(partition, {})


def _check(partition: object, to: object, ranges: list[tuple[object, object]], own: int) -> None:
    """Raise ValueError unless each is of its kind; a mark stands behind what it names."""
    if not isinstance(partition, int) or not isinstance(to, str):
        raise ValueError("it names no partition or no topic")
    at = -1
    for first, last in ranges:
        if not (isinstance(first, int) and isinstance(last, int) and at < first <= last < own):
            raise ValueError("its offsets are no ascending ranges")
        at = last
