"""What the broker said of the messages of one group."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from confluent_kafka import KafkaError

from consumer.articles import Outgoing, Position, TopicPartition

#: What a message says that was thrown away on purpose.
_PURGED = frozenset({KafkaError._PURGE_INFLIGHT, KafkaError._PURGE_QUEUE})


class Deliveries:
    """The messages since one `begin`; reports that come later still go to their own group.

    Attributes:
        failure: topic and error of the first message that failed.
    """

    def __init__(self) -> None:
        self.failure: tuple[str, KafkaError] | None = None

    def failed(self, message: Outgoing, error: KafkaError) -> None:
        """Note a failure, unless it is the echo of a purge."""
        if self.failure is None and error.code() not in _PURGED:
            self.failure = (message.topic, error)


class Oversized:
    """Which messages the broker refuses as too large.

    A batch on the wire is refused as a whole when it exceeds the topic's `max.message.bytes`,
    the small messages in it too. So the messages of a refused batch are only *suspects*: while
    there are any, every message is sent on its own, and what is refused then is too large by
    itself.
    """

    def __init__(self) -> None:
        self._suspects: set[Position] = set()
        self._refused: set[tuple[str, Position]] = set()

    @property
    def suspects(self) -> bool:
        """Whether there is a message that has to be sent on its own."""
        return bool(self._suspects)

    def refuse(self, message: Outgoing, alone: bool) -> None:
        """The broker refused a message that was sent on its own, or in company."""
        if alone:
            self._suspects.discard(message.position)
            self._refused.add((message.topic, message.position))
        else:
            self._suspects.add(message.position)

    def refused(self, topic: str, position: Position) -> bool:
        """Whether this input's message to this topic was refused for its own size."""
        return (topic, position) in self._refused

    def settle(
        self, offsets: Mapping[TopicPartition, int], assigned: Collection[TopicPartition]
    ) -> None:
        """These offsets are final: what stands before them, or in partitions that went to
        another worker, does not come by again."""
        self._suspects = {one for one in self._suspects if not _gone(one, offsets, assigned)}
        self._refused = {one for one in self._refused if not _gone(one[1], offsets, assigned)}


def _gone(
    position: Position, offsets: Mapping[TopicPartition, int], assigned: Collection[TopicPartition]
) -> bool:
    partition = position.topic_partition
    return partition not in assigned or position.offset < offsets.get(partition, 0)
