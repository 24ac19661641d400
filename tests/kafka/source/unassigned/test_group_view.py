"""Who has which partition, read from what the brokers say of a group."""

from __future__ import annotations

import struct
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.unassigned.group_view import GroupView, assigned_in, look_at_group


def assignment(**topics: list[int]) -> bytes:
    """As Kafka's clients write it."""
    data = struct.pack(">hi", 0, len(topics))
    for topic, numbers in topics.items():
        name = topic.encode()
        data += struct.pack(
            f">h{len(name)}si{len(numbers)}i", len(name), name, len(numbers), *numbers
        )
    return data + struct.pack(">i", 0)


class Admin:
    """Answers for one group and one topic of four partitions."""

    def __init__(self, *assignments: bytes) -> None:
        self.state, self.protocol_type = "Stable", "consumer"
        self.members = [
            SimpleNamespace(id=f"m{n}", assignment=data) for n, data in enumerate(assignments)
        ]
        self.group_error: KafkaError | None = None
        self.topic_failure: Exception | None = None
        self.failure: Exception | None = None

    def describe_topics(self, _topics: Any, **_limits: float) -> dict[str, Future[Any]]:
        coming: Future[Any] = Future()
        if self.topic_failure is not None:
            coming.set_exception(self.topic_failure)
        else:
            there = [SimpleNamespace(id=n) for n in range(4)]
            coming.set_result(SimpleNamespace(partitions=there))
        return {"in": coming}

    def list_groups(self, group: str, **_limits: float) -> list[Any]:
        if self.failure is not None:
            raise self.failure
        told = SimpleNamespace(
            state=self.state,
            protocol_type=self.protocol_type,
            error=self.group_error,
            members=self.members,
        )
        return [told] if group == "g" else []


def test_an_assignment_is_read_as_kafka_s_clients_write_it() -> None:
    found = assigned_in(assignment(news=[0, 3], São=[1], empty=[]))
    assert set(found) == {
        TopicPartition("news", 0),
        TopicPartition("news", 3),
        TopicPartition("São", 1),
    }
    assert not [*assigned_in(b"")]
    assert not [*assigned_in(assignment())]


def test_partitions_that_no_member_has_are_told() -> None:
    admin = Admin(assignment(**{"in": [0]}), b"", assignment(other=[1], **{"in": [2]}))
    assert look_at_group(admin, "g", ["in"]) == GroupView(
        ("m0", "m1", "m2"), frozenset({TopicPartition("in", 1), TopicPartition("in", 3)})
    )


def test_a_group_of_which_each_partition_has_a_member() -> None:
    admin = Admin(assignment(**{"in": [0, 1]}), assignment(**{"in": [2, 3]}))
    view = look_at_group(admin, "g", ["in"])
    assert view is not None
    assert not view.unassigned


@pytest.mark.parametrize(
    "change",
    [
        {"state": "PreparingRebalance"},
        {"state": "CompletingRebalance"},
        {"state": "Dead", "protocol_type": "", "members": []},
        {"protocol_type": "connect"},
        {"group_error": KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)},
        {"topic_failure": KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))},
        {"topic_failure": TimeoutError()},
        {"failure": KafkaException(KafkaError(KafkaError._TIMED_OUT))},
        {"members": [SimpleNamespace(id="m", assignment=b"\0\1\0\0")]},
        {"members": [SimpleNamespace(id="m", assignment=b"\0\0\0\0\0\1\0\1\xff\0\0\0\0")]},
    ],
    ids=repr,
)
def test_where_it_cannot_be_told_nothing_is_said(change: dict[str, Any]) -> None:
    admin = Admin(assignment(**{"in": [0]}))
    for name, value in change.items():
        setattr(admin, name, value)
    assert look_at_group(admin, "g", ["in"]) is None
    assert look_at_group(Admin(), "another", ["in"]) is None
