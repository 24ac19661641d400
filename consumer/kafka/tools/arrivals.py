"""Arrivals: when messages become visible to a reader, and nothing of what they hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import confluent_kafka
from confluent_kafka import Consumer

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.client import OPEN_TIMEOUT_S, ClientWatch, await_topics, make_client
from consumer.kafka.closing import Closing
from consumer.settings.schema import Settings

#: Messages taken from the client at once.
_MESSAGES = 2_000


class Arrivals(Closing):
    """Waits for what comes to a topic from now on, under `read_committed`. Not for several threads.

    Args:
        settings: how to reach the brokers.
        topic: it must exist.
        clock: seconds since the epoch.

    Raises:
        KafkaProblem: no broker answers, or the topic is missing.
    """

    def __init__(
        self, settings: Settings, topic: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        watch = ClientWatch()
        self._consumer = make_client(
            Consumer,
            settings,
            watch,
            # Answers come as soon as there is one message, which is the default too.
            {"fetch.min.bytes": 1, "fetch.wait.max.ms": 100},
            {
                "group.id": f"{settings.group_id}-arrivals",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            },
        )
        await_topics(self._consumer, watch, settings, {topic: "output_topic"})
        found = self._consumer.list_topics(topic, timeout=OPEN_TIMEOUT_S).topics[topic]
        partitions = [confluent_kafka.TopicPartition(topic, one) for one in found.partitions]
        for one in partitions:
            _, one.offset = self._consumer.get_watermark_offsets(one, timeout=OPEN_TIMEOUT_S)
        self._consumer.assign(partitions)

    def poll(self, timeout_s: float) -> Sequence[float]:
        """For each message that has come: seconds from its timestamp until now.

        Raises:
            KafkaProblem: reading cannot go on.
        """
        first = self._consumer.poll(timeout_s)
        if first is None:
            return ()
        messages = [first, *self._consumer.consume(_MESSAGES, 0)]
        now_ms = self._clock() * 1000
        for message in messages:
            error = message.error()
            if error is not None and not error.retriable():
                raise KafkaProblem(f"reading stopped: {error.str()}")
        return [
            (now_ms - message.timestamp()[1]) / 1000
            for message in messages
            if message.error() is None
        ]

    def close(self) -> None:
        """Release the connections."""
        self._consumer.close()
