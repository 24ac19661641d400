"""GroupOffsets: what a group has committed, asked and set from outside of the group."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, KafkaException

from consumer.contracts.messages import TopicPartition
from consumer.kafka.client import ClientWatch, make_client
from consumer.kafka.source.properties import consumer_properties
from consumer.settings.schema import Settings


class GroupOffsets:
    """A consumer that never joins, on a thread of its own: nobody else waits for its answers.

    It reads uncommitted offsets too, so that an open transaction hides none of what is committed.
    (`AdminClient.list_consumer_group_offsets` would be for this; it crashes, confluent_kafka 2.16.)

    Args:
        settings: the brokers, the group.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nerstream-run")
        self._client: Any = None

    def ask(
        self, partitions: Collection[TopicPartition], timeout_s: float
    ) -> Future[Mapping[TopicPartition, Any]]:
        """Begin to ask for the offsets of these partitions: the client's, without those that have
        none. A KafkaException says that they are not known."""
        return self._thread.submit(self._ask, sorted(partitions), timeout_s)

    def commit(self, offsets: list[Any]) -> None:
        """Commit as no member does. Blocks.

        Raises:
            KafkaException: not all of them; a group that has members refuses.
        """
        self._thread.submit(self._commit, offsets).result()

    def close(self) -> None:
        """Release the client; blocks while a question is under way."""
        self._thread.submit(self._drop).result()
        self._thread.shutdown()

    def _ask(
        self, partitions: list[TopicPartition], timeout_s: float
    ) -> Mapping[TopicPartition, Any]:
        asked = [confluent_kafka.TopicPartition(*one) for one in partitions]
        try:
            answers = _whole(self._ready().committed(asked, timeout_s))
        except KafkaException:
            self._drop()
            raise
        return {TopicPartition(one.topic, one.partition): one for one in answers if one.offset >= 0}

    def _commit(self, offsets: list[Any]) -> None:
        try:
            _whole(self._ready().commit(offsets=offsets, asynchronous=False))
        except KafkaException:
            self._drop()
            raise

    def _ready(self) -> Any:
        if self._client is None:
            defaults, required = consumer_properties(self._settings)
            required = {**required, "isolation.level": "read_uncommitted"}
            self._client = make_client(Consumer, self._settings, ClientWatch(), defaults, required)
        return self._client

    def _drop(self) -> None:
        """Let the client go. After an error the next question has a new one, which knows nothing
        of brokers that are gone."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _whole(answers: list[Any]) -> list[Any]:
    for one in answers:
        if one.error is not None:
            raise KafkaException(one.error)
    return answers
