"""PartitionCounts: how many partitions the output topics have."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException

from consumer.contracts.errors import AbortableError
from consumer.kafka.errors import error_of, judged


class PartitionCounts:
    """Asks the brokers, and remembers the answers for a while: a topic can grow.

    Args:
        clock: seconds, monotonic.
    """

    #: Seconds for which an answer holds; librdkafka refreshes its own as often.
    FRESH_S = 300.0

    #: Longest wait for an answer, in seconds.
    TIMEOUT_S = 5.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[int, float]] = {}

    def of(self, client: Any, topic: str) -> int:
        """Partitions of a topic. Blocks where the last answer is old; if the brokers do not answer
        then, that one holds.

        Raises:
            AbortableError: the brokers have not told yet, or there is no such topic now.
            KafkaProblem: they never will, by what they say.
        """
        count, asked_at = self._known.get(topic, (0, 0.0))
        if count and self._clock() - asked_at < self.FRESH_S:
            return count
        doing = f"the partitions of the topic {topic} cannot be asked for"
        try:
            found = client.list_topics(topic, timeout=self.TIMEOUT_S).topics.get(topic)
        except KafkaException as failed:
            if not count:
                raise judged(doing, error_of(failed)) from failed
            return count
        if found is not None and found.error is None and found.partitions:
            count = len(found.partitions)
        if not count:
            if found is not None and found.error is not None:
                raise judged(doing, found.error)
            raise AbortableError(f"the topic {topic} is gone")
        self._known[topic] = (count, self._clock())
        return count

    def forget(self, topic: str) -> None:
        """Ask anew next time: the topic does not have what the last answer said."""
        self._known.pop(topic, None)
