"""TopicReader: reads topics from their beginning, for people; joins no group."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import RawMessage
from consumer.kafka.client import OPEN_TIMEOUT_S, ClientWatch, await_topics, make_client
from consumer.kafka.closing import Closing
from consumer.kafka.messages import raw_message
from consumer.settings.schema import Settings


class TopicReader(Closing):
    """Reads every partition of some topics under `read_committed`. Not for several threads.

    Args:
        settings: how to reach the brokers.
        topics: they must exist, or the broker must create topics.

    Raises:
        KafkaProblem: no broker answers, a topic is missing, access is denied.
        SettingsError: a librdkafka property is wrong.
    """

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        watch = ClientWatch()
        self._consumer = make_client(
            Consumer,
            settings,
            watch,
            {},
            {
                # The client asks for a group; nothing is ever committed to this one.
                "group.id": f"{settings.group_id}-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            },
        )
        try:
            await_topics(self._consumer, watch, settings, dict.fromkeys(topics, "to read"))
            self._consumer.assign(
                [
                    KafkaTopicPartition(topic, partition, OFFSET_BEGINNING)
                    for topic in topics
                    for partition in self._partitions(topic)
                ]
            )
        except BaseException:
            self._consumer.close()
            raise

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        """Take what has come; waits up to `timeout_s` for the first message, never for more.

        Raises:
            KafkaProblem: reading cannot go on.
        """
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(max_messages - 1, 0)]
        for message in messages:
            error = message.error()
            if error is not None and not error.retriable():
                raise KafkaProblem(f"reading stopped: {error.str()}")
        return [raw_message(message, 0) for message in messages if message.error() is None]

    def close(self) -> None:
        """Release the connections."""
        self._consumer.close()

    def _partitions(self, topic: str) -> list[int]:
        try:
            found = self._consumer.list_topics(topic, timeout=OPEN_TIMEOUT_S).topics[topic]
        except KafkaException as failure:
            raise KafkaProblem(f"cannot read {topic}: {failure.args[0].str()}") from failure
        return sorted(found.partitions)
