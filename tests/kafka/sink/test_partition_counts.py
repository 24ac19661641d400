"""How many partitions the output topics have, with a client that answers as told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.errors import AbortableError, KafkaProblem
from consumer.kafka.sink.partition_counts import PartitionCounts


class Client:
    def __init__(self) -> None:
        self.partitions = 4
        self.error: KafkaError | None = None
        self.down = False
        self.asked = 0

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert timeout > 0
        self.asked += 1
        if self.down:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        found = SimpleNamespace(error=self.error, partitions=dict.fromkeys(range(self.partitions)))
        return SimpleNamespace(topics={topic: found})


class Clock:
    now = 1.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_holds_for_a_while_and_longer_when_no_one_answers() -> None:
    client, clock = Client(), Clock()
    counts = PartitionCounts(clock)
    assert [counts.of(client, "out") for _ in range(3)] == [4, 4, 4]
    assert client.asked == 1
    client.partitions = 8
    clock.now += PartitionCounts.FRESH_S
    assert counts.of(client, "out") == 8
    client.down = True
    clock.now += PartitionCounts.FRESH_S
    assert counts.of(client, "out") == 8


def test_a_topic_that_is_gone_and_brokers_that_are_away_are_waited_for() -> None:
    client = Client()
    counts = PartitionCounts()
    client.error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    with pytest.raises(AbortableError, match="partitions of the topic out cannot be asked for"):
        counts.of(client, "out")
    client.error, client.partitions = None, 0
    with pytest.raises(AbortableError, match="the topic out is gone"):
        counts.of(client, "out")
    client.down = True
    with pytest.raises(AbortableError, match="partitions of the topic out cannot be asked for"):
        counts.of(client, "out")
    client.down, client.partitions = False, 4
    assert counts.of(client, "out") == 4


def test_what_a_person_must_put_right_is_told() -> None:
    client = Client()
    client.error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaProblem, match="allow this user to read the input topics and to write"):
        PartitionCounts().of(client, "out")
