"""TransactionalSink where no broker is needed: a new producer that gets no answer at first."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.errors import AbortableError
from consumer.kafka import transactional_sink
from consumer.kafka.retry import OutOfTime
from consumer.kafka.transactional_sink import TransactionalSink
from consumer.settings import Settings


class Producer:
    """Cannot begin before it is ready, as the client's."""

    def __init__(self) -> None:
        self.ready = False

    def init_transactions(self, _: float) -> None:
        self.ready = True

    def begin_transaction(self) -> None:
        if not self.ready:
            raise KafkaException(KafkaError(KafkaError._STATE, "not ready"))


class Output:
    """Asks for a new producer once."""

    def __init__(self) -> None:
        self.asks = [True]
        self.producer = Producer()

    def begin(self) -> bool:
        return self.asks.pop() if self.asks else False

    def start(self) -> None:
        self.producer = Producer()


def test_a_new_producer_without_an_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    output: Any = Output()
    sink = TransactionalSink(Settings(), source=None)  # type: ignore[arg-type]
    sink._output = output
    with monkeypatch.context() as away:

        def no_answer(*_: Any) -> bool:
            raise OutOfTime(KafkaError(KafkaError._TIMED_OUT))

        away.setattr(transactional_sink, "again", no_answer)
        with pytest.raises(AbortableError, match="cannot be made ready"):
            sink.begin()
    sink.begin()
    assert output.producer.ready
