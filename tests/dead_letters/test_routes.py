from __future__ import annotations

import pytest

from consumer.contracts.errors import KafkaProblem
from consumer.dead_letters.letter import DeadLetter, read_letter
from consumer.dead_letters.routes import Routes
from tests.support.memory.letters import at, letter, original


def found(topic: str, partition: int = 0, timestamp_ms: int | None = 7) -> DeadLetter:
    """A letter that came from there."""
    raw = original(1, topic=topic, partition=partition)._replace(timestamp_ms=timestamp_ms)
    one = read_letter(at(letter(raw)._replace(timestamp_ms=7), 0))
    assert one is not None
    return one


class Topics:
    """What the brokers say of topics."""

    def __init__(self) -> None:
        self.counts: dict[str, int | None] = {"articles": 3, "debug": 2, "secret": None}
        self.asked: list[str] = []

    def count(self, topic: str) -> int | None:
        self.asked.append(topic)
        return self.counts.get(topic, 0)

    def routes(self, to: str | None = None) -> Routes:
        return Routes("dead", to, self.count)


@pytest.mark.parametrize(
    "topic", ["a\0b", "a/b", ".", "..", "a b", "\x1b[31m", "\ufffd", "x" * 250]
)
def test_no_broker_is_asked_for_what_is_no_name(topic: str) -> None:
    topics = Topics()
    obstacle = topics.routes().obstacle(found(topic))
    assert obstacle is not None
    assert obstacle.code == "wrong_topic"
    shown = topic if len(topic) < 60 else "x" * 60 + "…"
    assert obstacle.why.startswith(f'"{shown}", where it came from, is no name of a topic')
    assert topics.asked == []


@pytest.mark.parametrize(
    ("topic", "code", "why"),
    [
        ("dead", "wrong_topic", "it came from dead, which is the dead-letter topic itself"),
        ("__consumer_offsets", "wrong_topic", "__consumer_offsets is a topic of the brokers' own"),
        ("__transaction_state", "wrong_topic", "__transaction_state is a topic of the brokers'"),
        ("gone", "no_topic", "there is no topic gone; create it, name another one with --to, or"),
        ("secret", "no_access", "this user may not write the topic secret, if there is one; allow"),
    ],
)
def test_a_topic_that_takes_nothing(topic: str, code: str, why: str) -> None:
    topics = Topics()
    obstacle = topics.routes().obstacle(found(topic))
    assert obstacle is not None
    assert obstacle.code == code
    assert obstacle.why.startswith(why)
    assert topics.routes("debug").obstacle(found(topic)) is None
    if code != "no_topic":
        assert "--to" in obstacle.why


@pytest.mark.parametrize(
    ("timestamp_ms", "why"),
    [
        (0, "is 0, which the client cannot write; --from 1970-01-02 leaves it out"),
        (2**63, "has more than 64 bits, which no message of Kafka's can have; --until 9999-12-31"),
        (-(2**63) - 1, "has more than 64 bits, which no message of Kafka's can have; --from 1970"),
        (10**30, "has more than 64 bits"),
    ],
)
@pytest.mark.parametrize("to", [None, "debug"])
def test_a_timestamp_that_cannot_be_written(timestamp_ms: int, why: str, to: str | None) -> None:
    obstacle = Topics().routes(to).obstacle(found("articles", timestamp_ms=timestamp_ms))
    assert obstacle is not None
    assert obstacle.code == "timestamp_refused"
    assert obstacle.why.startswith(f"its timestamp {why}")


@pytest.mark.parametrize("timestamp_ms", [None, 1, -5, 2**63 - 1, -(2**63)])
def test_any_other_timestamp_is_left_to_the_brokers(timestamp_ms: int | None) -> None:
    assert Topics().routes().obstacle(found("articles", timestamp_ms=timestamp_ms)) is None


def test_a_partition_that_is_gone() -> None:
    routes = Topics().routes()
    assert routes.obstacle(found("articles", 2)) is None
    assert routes.partitions("articles") == 3
    obstacle = routes.obstacle(found("articles", 3))
    # Of all partitions that are gone the same is said, of which there may be any number.
    assert obstacle == routes.obstacle(found("articles", 10**18))
    assert obstacle is not None
    assert obstacle.code == "no_partition"
    assert "is gone, there is only 0 to 2" in obstacle.why
    # Another topic gets what has no key in a partition that it has, and by its key the rest.
    assert Topics().routes("debug").obstacle(found("articles", 10**18)) is None
    assert Topics().routes("articles").obstacle(found("articles", 3)) is not None


def test_each_topic_is_asked_for_once() -> None:
    topics = Topics()
    routes = topics.routes()
    for topic in ("articles", "gone", "secret") * 2:
        routes.obstacle(found(topic))
    assert topics.asked == ["articles", "gone", "secret"]


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("gone", "there is no topic gone; create it"),
        ("secret", "this user may not write the topic secret"),
        ("__consumer_offsets", "is a topic of the brokers' own"),
    ],
)
def test_a_topic_for_all_must_take_them(to: str, why: str) -> None:
    with pytest.raises(KafkaProblem, match=why):
        Topics().routes(to).require()
    Topics().routes("debug").require()
    Topics().routes().require()
