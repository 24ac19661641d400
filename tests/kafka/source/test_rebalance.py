"""The callbacks of a rebalance, with a client that only takes notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.rebalance import Rebalance
from tests.integration.rigs.reading import Heard


class Client:
    def __init__(self) -> None:
        self.calls: list[tuple[str, list[tuple[str, int]]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(partitions: Sequence[Any]) -> None:
            self.calls.append((name, [(one.topic, one.partition) for one in partitions]))

        return call


def theirs(topic: str, partition: int = 0) -> list[Any]:
    return [confluent_kafka.TopicPartition(topic, partition)]


def fixed(_: Any, __: Sequence[TopicPartition]) -> None:
    """Every first position is committed."""


def test_a_partition_is_given_up_even_if_the_listener_fails() -> None:
    class Broken(Heard):
        def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
            raise ValueError(f"{len(partitions)} revoked")

        def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
            raise ValueError(f"{len(partitions)} lost")

    client, assigned = Client(), AssignedPartitions()
    rebalance = Rebalance(fixed, assigned, Broken())
    rebalance.on_assign(client, theirs("a"))
    with pytest.raises(ValueError, match="1 revoked"):
        rebalance.on_revoke(client, theirs("a"))
    assert assigned.numbers() == {}
    rebalance.on_assign(client, theirs("a"))
    with pytest.raises(ValueError, match="1 lost"):
        rebalance.on_lost(client, theirs("a"))
    assert assigned.numbers() == {}
    assert [name for name, _ in client.calls] == [
        *("position", "resume", "incremental_assign", "incremental_unassign"),
        *("position", "resume", "incremental_assign", "incremental_unassign"),
    ]


@pytest.mark.parametrize("paused", [True, False])
def test_what_is_assigned_is_paused_or_not_as_all_the_rest(paused: bool) -> None:
    """Before it is read: a pause beside the start of reading may be lost."""
    client = Client()
    rebalance = Rebalance(fixed, AssignedPartitions(), Heard())
    rebalance.paused = paused
    rebalance.on_assign(client, theirs("a"))
    rebalance.on_assign(client, [])
    assert client.calls == [
        ("position", [("a", 0)]),
        ("pause" if paused else "resume", [("a", 0)]),
        ("incremental_assign", [("a", 0)]),
        ("incremental_assign", []),
    ]


@pytest.mark.parametrize("paused", [True, False])
def test_what_is_moved_to_another_place_is_paused_or_not_before_it_is_read(paused: bool) -> None:
    client = Client()
    rebalance = Rebalance(fixed, AssignedPartitions(), Heard())
    rebalance.on_assign(client, theirs("a"))
    client.calls.clear()
    rebalance.paused = paused
    rebalance.place(client, {TopicPartition("a", 0): 7})
    assert [name for name, _ in client.calls] == [
        *("incremental_unassign", "position"),
        *("pause" if paused else "resume", "incremental_assign"),
    ]


def test_the_listener_hears_of_a_revocation_before_and_of_a_loss_after() -> None:
    client, assigned = Client(), AssignedPartitions()
    seen: list[int] = []

    class Counting(Heard):
        def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
            seen.append(len(assigned.numbers()) + 10 * len(partitions))

    heard = Counting()
    heard.revoking = lambda _: seen.append(len(assigned.numbers()))
    rebalance = Rebalance(fixed, assigned, heard)
    rebalance.on_assign(client, theirs("a"))
    rebalance.on_revoke(client, theirs("a"))
    rebalance.on_assign(client, theirs("a"))
    rebalance.on_lost(client, theirs("a"))
    assert seen == [1, 10]


class Group:
    """Takes first positions, once it can."""

    def __init__(self, refusal: int = KafkaError.STALE_MEMBER_EPOCH) -> None:
        self.refusals = [refusal]
        self.asked: list[list[TopicPartition]] = []

    def fix(self, _: Any, partitions: Sequence[TopicPartition]) -> None:
        self.asked.append(list(partitions))
        if self.refusals:
            raise KafkaException(KafkaError(self.refusals.pop()))


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._TIMED_OUT,
    ],
)
def test_a_partition_whose_first_position_is_not_fixed_is_told_of_when_it_is(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    now = [0.0]
    monkeypatch.setattr("consumer.kafka.source.rebalance.time.monotonic", lambda: now[0])
    client, assigned, heard, group = Client(), AssignedPartitions(), Heard(), Group(code)
    rebalance = Rebalance(group.fix, assigned, heard)
    rebalance.on_assign(client, theirs("a"))
    rebalance.settle(client)
    assert (heard.events, assigned.numbers()) == ([], {})
    assert [name for name, _ in client.calls] == ["position", "resume", "incremental_assign"]
    now[0] = 1.0
    rebalance.settle(client)
    rebalance.settle(client)
    assert heard.of("assigned") == [TopicPartition("a", 0)]
    assert list(assigned.numbers()) == [TopicPartition("a", 0)]
    assert group.asked == [[TopicPartition("a", 0)]] * 2
    assert [name for name, _ in client.calls[3:]] == [
        *("incremental_unassign", "position", "resume", "incremental_assign")
    ]


@pytest.mark.parametrize("going", ["on_revoke", "on_lost"])
def test_one_that_goes_before_its_position_is_fixed_is_never_told_of(going: str) -> None:
    client, heard, group = Client(), Heard(), Group()
    rebalance = Rebalance(group.fix, AssignedPartitions(), heard)
    rebalance.on_assign(client, theirs("a"))
    getattr(rebalance, going)(client, theirs("a"))
    rebalance._again_at = 0.0
    rebalance.settle(client)
    assert heard.of("assigned") == heard.of("revoked") == heard.of("lost") == []
    assert [name for name, _ in client.calls[2:]] == ["incremental_assign", "incremental_unassign"]


def test_a_first_position_that_is_refused_for_good_stops_the_worker() -> None:
    group = Group(KafkaError.GROUP_AUTHORIZATION_FAILED)
    rebalance = Rebalance(group.fix, AssignedPartitions(), Heard())
    with pytest.raises(KafkaProblem, match=r"first positions.*read the consumer group"):
        rebalance.on_assign(Client(), theirs("a"))
