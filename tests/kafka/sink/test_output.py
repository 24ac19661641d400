"""Output where no broker is needed: what a client raises while it serves callbacks."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.errors import AbortableError, KafkaProblem
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from consumer.kafka.client import ClientWatch
from consumer.kafka.errors import ABSENT, raised_by
from consumer.kafka.sink.output import Output
from consumer.settings.schema import Settings

FENCED = KafkaException(KafkaError(KafkaError._FENCED, "fenced by a newer instance", fatal=True))


class Fenced:
    """Raises a fatal error, and then stumbles over the next callback, as the client does."""

    def flush(self, _: float) -> int:
        raise SystemError("returned a result with an exception set") from FENCED

    poll = flush

    def __len__(self) -> int:
        return 3


def flush(output: Output) -> None:
    output.flush(1.0)


def serve(output: Output) -> None:
    output.serve()
    output.raise_failure()


@pytest.mark.parametrize("call", [flush, serve])
def test_a_fatal_error_over_which_the_client_stumbles_is_told_as_what_it_is(
    call: Callable[[Output], None],
) -> None:
    output = Output(Settings(), {"transactional.id": "group-twin"})
    output._producer = Fenced()
    with pytest.raises(KafkaProblem, match="same instance"):
        call(output)


def test_a_fatal_error_of_the_sequence_asks_for_a_new_producer() -> None:
    """Nothing is lost by it: what was sent since the last commit is read again."""
    output = Output(Settings(), {})
    code = KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    output.watch.fatal = KafkaError(code, "sequence desynchronization", fatal=True)
    with pytest.raises(AbortableError, match=r"made again \(sequence desynchronization\)"):
        output.raise_failure()


def test_any_other_error_of_the_system_stays_one() -> None:
    with pytest.raises(SystemError, match="of its own"):
        raised_by(SystemError("of its own"))
    failed: Any = SystemError("with another cause")
    failed.__cause__ = ValueError()
    with pytest.raises(SystemError):
        raised_by(failed)
    assert raised_by(FENCED) is FENCED


class Idle:
    """Takes messages and acknowledges none; says in its statistics that it knows no broker."""

    def __init__(self, watch: ClientWatch) -> None:
        self._watch = watch
        self.taken = 0

    def produce(self, *_: object, **__: object) -> None:
        self.taken += 1

    def poll(self, _: float) -> int:
        self._watch.statistics('{"brokers": {}}')
        return 0

    def flush(self, timeout_s: float) -> int:
        self.poll(timeout_s)
        return self.taken


def test_a_producer_that_has_forgotten_all_brokers_is_not_waited_for() -> None:
    """Its messages would only fail after minutes; the producer that follows an abort sends them."""
    output = Output(Settings(), {})
    output._producer = producer = Idle(output.watch)
    message = Outgoing(
        "articles-tagged", None, b"{}", (), None, None, Position(TopicPartition("articles", 0), 1)
    )
    output.send(message, 1.0)
    with pytest.raises(AbortableError, match="forgotten all brokers"):
        output.flush(60.0)
    assert producer.taken == 1
    with pytest.raises(AbortableError, match="forgotten all brokers"):
        output.send(message, 1.0)
    assert producer.taken == 1


def test_what_is_for_nothing_is_not_waited_for() -> None:
    output = Output(Settings(), {})
    output._producer = producer = Idle(output.watch)
    producer.taken = 1
    producer.poll = lambda _: 0  # type: ignore[method-assign]
    answers = iter(["", "", "the topic out was deleted and made again"])
    with pytest.raises(AbortableError, match="made again"):
        output.flush(60.0, lambda: next(answers))
    assert next(answers, None) is None


@pytest.mark.parametrize("code", sorted(ABSENT))
def test_a_topic_that_is_gone_is_waited_for(code: int) -> None:
    """The client says any of these, by what it hears of first."""
    output = Output(Settings(), {})
    assert isinstance(output.judge("it cannot be written", KafkaError(code)), AbortableError)


def test_a_topic_that_is_forbidden_is_not_waited_for() -> None:
    output = Output(Settings(), {})
    forbidden = output.judge("it cannot be", KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert isinstance(forbidden, KafkaProblem)


class Smaller:
    """A producer whose topic was made again with two partitions instead of four."""

    partitions = 4

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert timeout > 0
        there = SimpleNamespace(error=None, partitions=dict.fromkeys(range(self.partitions)))
        return SimpleNamespace(topics={topic: there})

    def poll(self, _: float) -> int:
        return 0

    def produce(self, *message: Any, **_: Any) -> None:
        assert message[3] >= 2
        raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))


def test_a_partition_that_is_not_there_has_the_partitions_counted_anew() -> None:
    output = Output(Settings(), {})
    output._producer = Smaller()
    assert output.partition_count("articles-tagged") == 4
    output._producer.partitions = 2
    assert output.partition_count("articles-tagged") == 4
    message = Outgoing(
        "articles-tagged", None, b"{}", (), None, 3, Position(TopicPartition("articles", 3), 1)
    )
    with pytest.raises(AbortableError, match="articles-tagged cannot be written"):
        output.send(message, 1.0)
    assert output.partition_count("articles-tagged") == 2
