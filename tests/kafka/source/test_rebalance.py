"""The callbacks of a rebalance, with a client that only takes notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import confluent_kafka
import pytest

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.rebalance import Rebalance
from consumer.settings.schema import Settings
from tests.integration.reading import Heard


class Client:
    def __init__(self) -> None:
        self.calls: list[tuple[str, list[tuple[str, int]]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(partitions: Sequence[Any]) -> None:
            self.calls.append((name, [(one.topic, one.partition) for one in partitions]))

        return call


def theirs(topic: str, partition: int = 0) -> list[Any]:
    return [confluent_kafka.TopicPartition(topic, partition)]


def test_a_topic_that_the_worker_writes_to_is_never_read() -> None:
    """Settings refuse such a pattern; but regular expressions have dialects."""
    client, assigned = Client(), AssignedPartitions()
    rebalance = Rebalance(Settings(), assigned, Heard())
    for topic in ("articles-tagged", "articles-dead-letters"):
        with pytest.raises(KafkaProblem, match=f"matches {topic}.*narrow the pattern"):
            rebalance.on_assign(client, theirs(topic))
    assert client.calls == []
    assert assigned.numbers() == {}


def test_a_partition_is_given_up_even_if_the_listener_fails() -> None:
    class Broken(Heard):
        def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
            raise ValueError(f"{len(partitions)} revoked")

        def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
            raise ValueError(f"{len(partitions)} lost")

    client, assigned = Client(), AssignedPartitions()
    rebalance = Rebalance(Settings(), assigned, Broken())
    rebalance.on_assign(client, theirs("a"))
    with pytest.raises(ValueError, match="1 revoked"):
        rebalance.on_revoke(client, theirs("a"))
    assert assigned.numbers() == {}
    rebalance.on_assign(client, theirs("a"))
    with pytest.raises(ValueError, match="1 lost"):
        rebalance.on_lost(client, theirs("a"))
    assert assigned.numbers() == {}
    assert [name for name, _ in client.calls] == [
        *("incremental_assign", "resume", "incremental_unassign"),
        *("incremental_assign", "resume", "incremental_unassign"),
    ]


@pytest.mark.parametrize("paused", [True, False])
def test_what_is_assigned_is_paused_or_not_as_all_the_rest(paused: bool) -> None:
    client = Client()
    rebalance = Rebalance(Settings(), AssignedPartitions(), Heard())
    rebalance.paused = paused
    rebalance.on_assign(client, theirs("a"))
    rebalance.on_assign(client, [])
    assert client.calls == [
        ("incremental_assign", [("a", 0)]),
        ("pause" if paused else "resume", [("a", 0)]),
        ("incremental_assign", []),
    ]


def test_the_listener_hears_of_a_revocation_before_and_of_a_loss_after() -> None:
    client, assigned = Client(), AssignedPartitions()
    seen: list[int] = []

    class Counting(Heard):
        def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
            seen.append(len(assigned.numbers()) + 10 * len(partitions))

    heard = Counting()
    heard.revoking = lambda _: seen.append(len(assigned.numbers()))
    rebalance = Rebalance(Settings(), assigned, heard)
    rebalance.on_assign(client, theirs("a"))
    rebalance.on_revoke(client, theirs("a"))
    rebalance.on_assign(client, theirs("a"))
    rebalance.on_lost(client, theirs("a"))
    assert seen == [1, 10]
