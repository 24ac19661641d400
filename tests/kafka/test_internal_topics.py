"""What brokers answer about their own topics, and what it means. No broker is needed."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource

from consumer.contracts.choices import Delivery
from consumer.kafka import internal_topics as module
from consumer.kafka.internal_topics import OFFSETS, TRANSACTIONS, InternalTopics
from consumer.settings.schema import Settings


class Admin:
    """Answers as brokers do.

    Args:
        settings: of each broker by its number, or why they are not told.
        topic: its partitions, each leader, replicas and those in sync; or an error.
        least: the topic's min.insync.replicas.
    """

    def __init__(
        self, settings: Any, topic: Any = KafkaError.UNKNOWN_TOPIC_OR_PART, least: int = 1
    ):
        self._settings = settings
        self._topic = topic
        self._least = least

    def list_topics(self, name: str, timeout: float) -> Any:
        assert timeout > 0
        failed = isinstance(self._topic, int)
        there = SimpleNamespace(
            error=KafkaError(self._topic) if failed else None,
            partitions={} if failed else dict(enumerate(self._topic)),
        )
        numbers = self._settings if isinstance(self._settings, dict) else [1]
        brokers = {one: SimpleNamespace(host="broker", port=one) for one in numbers}
        return SimpleNamespace(brokers=brokers, topics={name: there})

    def describe_configs(
        self, resources: list[ConfigResource], request_timeout: float
    ) -> dict[ConfigResource, Future[Any]]:
        assert request_timeout > 0
        (resource,) = resources
        answer: Future[Any] = Future()
        if resource.name == OFFSETS.name:
            found = {"min.insync.replicas": self._least}
        elif isinstance(self._settings, int):
            answer.set_exception(KafkaException(KafkaError(self._settings)))
            return {resource: answer}
        else:
            found = self._settings[int(resource.name)]
        answer.set_result({name: SimpleNamespace(value=str(one)) for name, one in found.items()})
        return {resource: answer}


def partition(leader: int, replicas: list[int], isrs: list[int]) -> Any:
    return SimpleNamespace(leader=leader, replicas=replicas, isrs=isrs)


def obstacle(monkeypatch: pytest.MonkeyPatch, admin: Admin) -> str:
    monkeypatch.setattr(module, "make_client", lambda *_: admin)
    return InternalTopics(Settings()).obstacle(OFFSETS)


@pytest.fixture(autouse=True)
def doors(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, int], str]:
    """Why brokers do not let this client in, by their addresses."""
    shut: dict[tuple[str, int], str] = {}
    monkeypatch.setattr(module, "refusal", lambda _, addresses: shut.get(addresses[0], ""))
    return shut


WANTS = {one: {OFFSETS.replicas: one} for one in range(5)}


@pytest.mark.parametrize(
    ("admin", "expected"),
    [
        (Admin({1: WANTS[1]}), ""),
        (Admin({1: WANTS[3], 2: WANTS[3], 3: WANTS[3]}), ""),
        (
            Admin({1: WANTS[3]}),
            "offsets.topic.replication.factor is 3, and 1 broker is there; start 2 more brokers, "
            "or set offsets.topic.replication.factor=1 on the brokers",
        ),
        (
            Admin({1: WANTS[1], 2: WANTS[3]}),
            "offsets.topic.replication.factor is 3, and 2 brokers are there; start 1 more broker, "
            "or set offsets.topic.replication.factor=2 on the brokers",
        ),
        # What may be over at the next look is no obstacle.
        (Admin(KafkaError._TIMED_OUT), ""),
        (Admin({1: {}}, KafkaError.LEADER_NOT_AVAILABLE), ""),
        # A broker of another make has no such setting.
        (Admin({1: {}}), ""),
        (Admin({}, [partition(1, [1], [1])]), ""),
        (Admin({}, [partition(1, [1, 2], [1])], least=1), ""),
        # Apache Kafka wants no more in sync than there are replicas.
        (Admin({}, [partition(1, [1], [1])], least=2), ""),
        (
            Admin({}, [partition(1, [1, 2], [1]), partition(1, [1], [1])], least=2),
            "1 of the 2 partitions of the internal topic __consumer_offsets have fewer replicas in "
            "sync than its min.insync.replicas=2 (brokers 2 are away); start these, or lower "
            "min.insync.replicas of __consumer_offsets",
        ),
        (
            Admin({}, [partition(-1, [2, 3], []), partition(1, [1], [1])]),
            "1 of the 2 partitions of the internal topic __consumer_offsets have no leader, since "
            "the brokers that hold them are away (2, 3); start these",
        ),
        (
            Admin(KafkaError.CLUSTER_AUTHORIZATION_FAILED),
            "1 broker is there, and offsets.topic.replication.factor on the brokers must not be "
            "more than that",
        ),
        (
            Admin({1: {}, 2: {}}, KafkaError.TOPIC_AUTHORIZATION_FAILED),
            "2 brokers are there, and offsets.topic.replication.factor on the brokers must not be "
            "more than that",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, admin: Admin, expected: str
) -> None:
    said = obstacle(monkeypatch, admin)
    assert said.endswith(expected)
    assert bool(said) == bool(expected)
    assert not said or OFFSETS.name in said


def test_transactions_are_looked_at_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {1: {OFFSETS.replicas: 2, TRANSACTIONS.replicas: 3}}
    monkeypatch.setattr(module, "make_client", lambda *_: Admin(alone))
    for delivery, names in (
        (Delivery.EXACTLY_ONCE, [TRANSACTIONS.replicas, OFFSETS.replicas]),
        (Delivery.AT_LEAST_ONCE, [OFFSETS.replicas]),
    ):
        found = InternalTopics(Settings(delivery=delivery)).obstacles()
        assert len(found) == len(names)
        assert all(name in said for name, said in zip(names, found, strict=True))


def test_a_broker_that_refuses_this_client_where_it_says_that_it_is_told(
    monkeypatch: pytest.MonkeyPatch, doors: dict[tuple[str, int], str]
) -> None:
    doors["broker", 2] = "the certificate is for another host; take its name"
    said = obstacle(monkeypatch, Admin({1: WANTS[1], 2: WANTS[1]}))
    assert said == doors["broker", 2]


def test_what_most_users_may_not_see_is_told_only_where_something_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = Admin({1: {}}, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    monkeypatch.setattr(module, "make_client", lambda *_: hidden)
    looking = InternalTopics(Settings(delivery=Delivery.AT_LEAST_ONCE))
    assert looking.obstacles(guesses=False) == []
    assert len(looking.obstacles()) == 1
