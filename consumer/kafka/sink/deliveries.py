"""What the broker said of the messages since one `begin`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from confluent_kafka import KafkaError

from consumer.contracts.choices import RejectCode
from consumer.contracts.messages import Outgoing, Position, TopicPartition

#: The errors of a message that was thrown away on purpose.
_PURGED = frozenset({KafkaError._PURGE_INFLIGHT, KafkaError._PURGE_QUEUE})

#: The errors of a message that the broker would refuse again, however often it came. An invalid
#: record has no key although the topic is compacted, or fails what else a broker is set to check.
REASONS: Mapping[int, RejectCode] = {
    KafkaError.MSG_SIZE_TOO_LARGE: RejectCode.TOO_LARGE,
    KafkaError.INVALID_TIMESTAMP: RejectCode.TIMESTAMP_REFUSED,
    KafkaError.INVALID_RECORD: RejectCode.RECORD_REFUSED,
}


class Deliveries:
    """The messages since one `begin`; a report that comes late still goes to its own object.

    Attributes:
        failure: topic and error of the first message that failed.
    """

    def __init__(self) -> None:
        self.failure: tuple[str, KafkaError] | None = None

    def failed(self, message: Outgoing, error: KafkaError) -> None:
        """Note a failure, unless it is the echo of a purge."""
        if self.failure is None and error.code() not in _PURGED:
            self.failure = (message.topic, error)


class Refusals:
    """Which messages the broker refuses for what they are.

    The broker refuses a batch on the wire as a whole: for one wrong message, or because the batch
    exceeds the topic's `max.message.bytes`. So the messages of a refused batch are only
    *suspects*. While there are any, every message is sent on its own, and a message that is
    refused then is itself to blame.
    """

    def __init__(self) -> None:
        self._suspects: set[Position] = set()
        self._refused: dict[tuple[str, Position], RejectCode] = {}

    @property
    def suspects(self) -> bool:
        """Whether there is a message that has to be sent on its own."""
        return bool(self._suspects)

    def refuse(self, message: Outgoing, reason: RejectCode, alone: bool) -> None:
        """The broker refused a message that was sent on its own, or in company."""
        if alone:
            self._suspects.discard(message.position)
            self._refused[message.topic, message.position] = reason
        else:
            self._suspects.add(message.position)

    def refused(self, topic: str, position: Position) -> RejectCode | None:
        """Why this input's message to this topic was refused for itself; None if it was not."""
        return self._refused.get((topic, position)) if self._refused else None

    def settle(
        self, offsets: Mapping[TopicPartition, int], assigned: Collection[TopicPartition]
    ) -> None:
        """These offsets are final: what stands before them, or in partitions that went to
        another worker, does not come by again."""
        self._suspects = {one for one in self._suspects if not _gone(one, offsets, assigned)}
        self._refused = {
            one: reason
            for one, reason in self._refused.items()
            if not _gone(one[1], offsets, assigned)
        }


def _gone(
    position: Position, offsets: Mapping[TopicPartition, int], assigned: Collection[TopicPartition]
) -> bool:
    partition = position.topic_partition
    return partition not in assigned or position.offset < offsets.get(partition, 0)
