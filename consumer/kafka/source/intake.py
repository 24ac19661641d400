"""Intake: takes what the client gives out: messages, and events in the place of one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.client import ClientWatch
from consumer.kafka.errors import ABSENT, PERMANENT, problem
from consumer.kafka.messages import raw_message
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.outside import Outside

_log = logging.getLogger(__name__)

#: The log of a partition does not reach to where it is to be read.
_OUTSIDE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION})

#: A topic may be gone, or be another one; brokers that have just started know nothing of their
#: topics for a moment, too.
_OTHER_TOPIC = ABSENT | {
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError.INCONSISTENT_TOPIC_ID,
}


class Intake:
    """Tells messages from events. Owned by the poll thread.

    Args:
        assigned: which partitions may be delivered, under which numbers; told how far was read.
        watch: of the consumer; told of its end.
    """

    def __init__(self, assigned: AssignedPartitions, watch: ClientWatch) -> None:
        self._assigned = assigned
        self._watch = watch
        self._hinted = False
        #: Partitions that the client has stopped to read, until they are moved.
        self.outside: dict[TopicPartition, Outside] = {}
        #: Partitions of a bounded run that gave messages behind its end: those that are still
        #: fetched, and those that were held for it at any time.
        self.over: set[TopicPartition] = set()
        self.held: set[TopicPartition] = set()

    def sort(self, events: Iterable[Any], taken: list[RawMessage]) -> None:
        """Append the messages to `taken`, and act on the other events.

        Raises:
            KafkaProblem: reading cannot go on.
        """
        # A plain pair equals a `TopicPartition`, and is found by it.
        readable, ends = self._assigned.readable(), self._assigned.ends
        newest: dict[TopicPartition, Any] = {}
        for event in events:
            if (error := event.error()) is not None:
                partition = TopicPartition(event.topic(), event.partition())
                if (before := newest.pop(partition, None)) is not None:
                    self._passed(partition, before)
                self._heed(event, error)
                continue
            found = readable.get((event.topic(), event.partition()))
            if found is not None:
                partition, number = found
                newest[partition] = event
                if ends and event.offset() >= ends[partition]:
                    self.over.add(partition)
                    continue
                taken.append(raw_message(event, number, partition))
        for partition, event in newest.items():
            self._passed(partition, event)

    def take_hint(self) -> bool:
        """Whether, since the last call, something looked as if a topic had been replaced."""
        hinted, self._hinted = self._hinted, False
        return hinted

    def ended(self, error: KafkaError) -> KafkaProblem:
        """The error of a consumer that does nothing more; such a one need not leave its group."""
        self._watch.fatal = error
        said = error.str().lower()
        if "group.instance.id" in said or "instance id is still used" in said:
            # A fatal error names its cause in words only: the first is what the older of two
            # static members hears, the second what the newer one hears under KIP-848.
            error = KafkaError(KafkaError.FENCED_INSTANCE_ID, error.str())
        return problem("the consumer cannot go on", error)

    def _passed(self, partition: TopicPartition, newest: Any) -> None:
        offset = newest.offset() + 1
        end = self._assigned.ends.get(partition, offset)
        self._assigned.passed(partition, min(offset, end), newest.leader_epoch())

    def _heed(self, message: Any, error: KafkaError) -> None:
        """Decide what an event in the place of a message means."""
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            # Its offset stands after markers and aborted messages too, which no message shows.
            partition = TopicPartition(message.topic(), message.partition())
            end = self._assigned.ends.get(partition, message.offset())
            self._assigned.passed(partition, min(message.offset(), end))
        elif code in _OUTSIDE:
            partition = TopicPartition(message.topic(), message.partition())
            number = self._assigned.numbers().get(partition)
            if number is not None:
                reached = self._assigned.reached(partition)
                self.outside[partition] = Outside.heard(number, message.offset(), reached, error)
        elif code in _OTHER_TOPIC:
            self._hinted = True
        elif code == KafkaError._FATAL or error.fatal():
            raise self.ended(error)
        elif code in PERMANENT:
            raise problem("the input topics cannot be read", error)
        else:
            # The client goes on by itself: connections, coordinators, a poll that came too late.
            _log.warning("reading goes on after: %s", error.str())
