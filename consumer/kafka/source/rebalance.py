"""What happens when the group shares out the partitions anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import confluent_kafka

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.settings.schema import Settings


class Listener(Protocol):
    """`consumer.contracts.ports.RebalanceListener`, as seen from here."""

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None: ...


class Rebalance:
    """The callbacks of a rebalance, which the client runs inside `poll` and `close`.

    Each tells the client itself what to assign and unassign: at which moment matters, since
    nothing of a partition may be delivered after its revocation was heard. An error of the
    listener comes out of `poll`.

    Args:
        settings: the topics that the worker writes to.
        assigned: kept up to date.
        listener: hears of every change.
    """

    def __init__(
        self, settings: Settings, assigned: AssignedPartitions, listener: Listener
    ) -> None:
        self._written = {settings.output_topic, settings.dead_letter_topic}
        self._assigned = assigned
        self._listener = listener
        #: Whether reading is paused.
        self.paused = False
        #: Whether one of the callbacks runs.
        self.is_running = False
        self._retired = False

    def retire(self) -> None:
        """The client is given up, and with it all partitions. It may go on calling back; nobody
        hears of that."""
        self._retired = True
        partitions = list(self._assigned.numbers())
        self._assigned.drop(partitions)
        if partitions:
            self._listener.on_lost(partitions)

    def on_assign(self, consumer: Any, assigned: Sequence[Any]) -> None:
        """Partitions were added; they begin at the group's committed offsets."""
        if self._retired:
            return
        partitions = _ours(assigned)
        for topic in sorted(self._written & {one.topic for one in partitions}):
            raise KafkaProblem(
                f"a pattern in input_topics matches {topic}, which the worker writes to; "
                "narrow the pattern"
            )
        consumer.incremental_assign(assigned)
        self._assigned.add(partitions)
        if partitions:
            # Said in both cases: the client may forget the pause of a partition that it assigns,
            # and may keep the one of a partition that went while reading was paused.
            asked = client_partitions(partitions)
            (consumer.pause if self.paused else consumer.resume)(asked)
        self._listener.on_assigned(partitions)

    def on_revoke(self, consumer: Any, revoked: Sequence[Any]) -> None:
        """Partitions are about to go; the listener may block to commit what is finished."""
        partitions = _ours(revoked)
        try:
            if not self._retired:
                self.is_running = True
                self._listener.on_revoked(partitions)
        finally:
            self.is_running = False
            if not self._retired:
                self._assigned.drop(partitions)
            consumer.incremental_unassign(revoked)

    def on_lost(self, consumer: Any, lost: Sequence[Any]) -> None:
        """Partitions went without notice."""
        partitions = _ours(lost)
        try:
            if not self._retired:
                self._assigned.drop(partitions)
                self._listener.on_lost(partitions)
        finally:
            consumer.incremental_unassign(lost)

    def renew(self, consumer: Any, partitions: Sequence[TopicPartition]) -> None:
        """Give partitions up and take them again, which begins at the committed offsets."""
        if partitions:
            self.on_lost(consumer, client_partitions(partitions))
            self.on_assign(consumer, client_partitions(partitions))


def client_partitions(partitions: Iterable[TopicPartition]) -> list[Any]:
    """Our partitions as the client's."""
    return [confluent_kafka.TopicPartition(one.topic, one.partition) for one in partitions]


def client_offsets(offsets: Mapping[TopicPartition, int]) -> list[Any]:
    """Our partitions with offsets as the client's."""
    return [
        confluent_kafka.TopicPartition(one.topic, one.partition, offset)
        for one, offset in offsets.items()
    ]


def _ours(partitions: Iterable[Any]) -> list[TopicPartition]:
    return [TopicPartition(one.topic, one.partition) for one in partitions]
