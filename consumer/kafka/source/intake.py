"""Intake: what the client gives out, messages and events in the place of one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.client import ClientWatch
from consumer.kafka.errors import PERMANENT, UNKNOWN_TOPIC, problem
from consumer.kafka.messages import raw_message
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.settings.schema import Settings

_log = logging.getLogger(__name__)

#: A topic that the client reports missing is looked for again after so many seconds: brokers
#: that have just started know nothing of their topics for a moment.
_UNKNOWN_TOPIC_GRACE_S = 5.0


class Intake:
    """Tells messages from events. Owned by the poll thread.

    Args:
        settings: for what an error says.
        assigned: which partitions may be delivered, under which numbers; told how far was read.
        watch: of the consumer; told of its end.
    """

    def __init__(
        self, settings: Settings, assigned: AssignedPartitions, watch: ClientWatch
    ) -> None:
        self._settings = settings
        self._assigned = assigned
        self._watch = watch
        self._recheck_at: float | None = None

    def sort(self, events: Iterable[Any], taken: list[RawMessage]) -> None:
        """Put the messages among what the client gave to `taken`, and heed the rest.

        Raises:
            KafkaProblem: reading cannot go on.
        """
        # A plain pair equals a `TopicPartition`, and is found by it.
        readable = self._assigned.readable()
        read: dict[TopicPartition, int] = {}
        for event in events:
            if (error := event.error()) is not None:
                self._heed(event, error)
                read.pop(TopicPartition(event.topic(), event.partition()), None)
                continue
            found = readable.get((event.topic(), event.partition()))
            if found is not None:
                partition, number = found
                raw = raw_message(event, number, partition)
                read[partition] = raw.position.offset + 1
                taken.append(raw)
        for partition, offset in read.items():
            self._assigned.passed(partition, offset)

    def is_recheck_due(self) -> bool:
        """Whether a topic was missing, some time ago, and should be looked for again."""
        at = self._recheck_at
        if at is None or time.monotonic() < at:
            return False
        self._recheck_at = None
        return True

    def over(self, error: KafkaError) -> KafkaProblem:
        """The error of a consumer that does nothing more; such a one need not leave its group."""
        self._watch.fatal = error
        said = error.str().lower()
        if "group.instance.id" in said or "instance id is still used" in said:
            # A fatal error names its cause in words only: the first is what the older of two
            # static members hears, the second what the newer one hears under KIP-848.
            error = KafkaError(KafkaError.FENCED_INSTANCE_ID, error.str())
        return problem("the consumer cannot go on", error)

    def _heed(self, message: Any, error: KafkaError) -> None:
        """Decide what an event in the place of a message means."""
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            # Its offset stands after markers and aborted messages too, which no message shows.
            partition = TopicPartition(message.topic(), message.partition())
            self._assigned.passed(partition, message.offset())
        elif code == KafkaError._AUTO_OFFSET_RESET:
            raise KafkaProblem(
                f"{message.topic()} [{message.partition()}] cannot be read from where group "
                f"{self._settings.group_id} stands ({error.str().strip()}); set "
                "auto_offset_reset to earliest or latest, or move the group's offset"
            )
        elif code in UNKNOWN_TOPIC:
            if self._recheck_at is None:
                self._recheck_at = time.monotonic() + _UNKNOWN_TOPIC_GRACE_S
        elif code == KafkaError._FATAL or error.fatal():
            raise self.over(error)
        elif code in PERMANENT:
            raise problem("the input topics cannot be read", error)
        else:
            # The client goes on by itself: connections, coordinators, a poll that came too late.
            _log.warning("reading goes on after: %s", error.str())
