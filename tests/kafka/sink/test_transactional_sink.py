"""TransactionalSink where no broker is needed: a new producer that gets no answer at first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.errors import AbortableError, KafkaProblem
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from consumer.kafka.bounded import bounded
from consumer.kafka.errors import judged
from consumer.kafka.retry import OutOfTime
from consumer.kafka.sink import transactional_sink
from consumer.kafka.sink.transactional_sink import TransactionalSink
from consumer.kafka.source.topics.vouching import Vouching
from consumer.settings.schema import Settings

OUT_OF_SEQUENCE = KafkaError(
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "sequence desynchronization", fatal=True
)

#: A source where brokers tell no ids of topics.
NO_IDS: Any = SimpleNamespace(output_ids=dict)


class Producer:
    """Cannot begin before it is ready, as the client's."""

    def __init__(self) -> None:
        self.ready = False

    def init_transactions(self, _: float) -> None:
        self.ready = True

    def abort_transaction(self, _: float) -> None:
        raise AssertionError("it is in another call, and would wait for that one")

    def commit_transaction(self, _: float) -> None:
        """As if it were committed."""

    def begin_transaction(self) -> None:
        if not self.ready:
            raise KafkaException(KafkaError(KafkaError._STATE, "not ready"))


class Output:
    """Asks for a new producer once."""

    def __init__(self) -> None:
        self.asks = [True]
        self.producer = Producer()
        self.lost = False

    def begin(self) -> bool:
        return self.asks.pop() if self.asks else False

    def start(self) -> None:
        self.producer = Producer()
        self.lost = False

    def flush(self, timeout_s: float, doomed: Callable[[], str]) -> None:
        assert timeout_s > 0
        assert doomed() == ""


def test_a_new_producer_without_an_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    output: Any = Output()
    sink = TransactionalSink(Settings(), source=NO_IDS)
    sink._output = output
    with monkeypatch.context() as away:

        def no_answer(*_: Any) -> bool:
            raise OutOfTime(KafkaError(KafkaError._TIMED_OUT))

        away.setattr(transactional_sink, "again", no_answer)
        with pytest.raises(AbortableError, match="cannot be made ready"):
            sink.begin()
    sink.begin()
    assert output.producer.ready


def test_a_producer_that_does_not_come_back_is_left_and_a_new_one_takes_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transactional_sink, "_HUNG_S", 0.1)
    let_go, came_back = threading.Event(), threading.Event()
    output: Any = Output()
    source: Any = SimpleNamespace(
        group_metadata=lambda: "metadata",
        vouch=lambda offsets, _: Vouching(None, offsets, {}, {}),
        output_ids=dict,
    )
    sink = TransactionalSink(Settings(transaction_timeout_ms=1_000), source=source)
    sink._output = output
    sink.begin()
    stuck = output.producer

    def held(*_: object) -> None:
        if let_go.wait(300):
            came_back.set()

    stuck.send_offsets_to_transaction = held
    began = time.monotonic()
    with pytest.raises(AbortableError, match="the offsets cannot join the transaction"):
        sink.commit({TopicPartition("in", 0): 7}, lambda: True)
    assert 1.0 < time.monotonic() - began < 100
    assert not came_back.is_set()
    sink.abort()
    assert "does not come back" in caplog.text
    sink.begin()
    assert output.producer is not stuck
    assert output.producer.ready
    assert not output.lost
    let_go.set()


@pytest.mark.parametrize("sends", [False, True])
def test_a_commit_of_offsets_alone_without_an_answer_ends_no_worker(
    monkeypatch: pytest.MonkeyPatch, sends: bool
) -> None:
    """Of messages it must be known whether they are committed; an offset is just set again."""
    output: Any = Output()
    output.watch = SimpleNamespace(count=0)
    output.send = lambda *_: None

    def no_group(_: Any) -> None:
        raise AbortableError("the group does not answer")

    source: Any = SimpleNamespace(
        group_metadata=lambda: "metadata",
        vouch=lambda offsets, _: Vouching(None, offsets, {}, {}),
        output_ids=dict,
        committed=no_group,
    )
    sink = TransactionalSink(Settings(), source=source)
    sink._output = output
    sink.begin()
    output.producer.send_offsets_to_transaction = lambda *_: None

    def no_answer(call: Any, *_: Any) -> bool:
        if getattr(call, "__name__", "") == "commit_transaction":
            raise OutOfTime(KafkaError(KafkaError._TIMED_OUT))
        call(1.0)
        return True

    monkeypatch.setattr(transactional_sink, "again", no_answer)
    partition = TopicPartition("in", 0)
    if sends:
        sink.send(Outgoing("out", None, b"", (), None, None, Position(partition, 6)))
    with pytest.raises(KafkaProblem if sends else AbortableError, match=r"not known|unknown"):
        sink.commit({partition: 7}, lambda: True)


def test_a_producer_out_of_sequence_is_replaced() -> None:
    """As where an output topic was made again while several batches were under way to it."""
    output: Any = Output()
    output.watch = SimpleNamespace(count=0, fatal=OUT_OF_SEQUENCE)
    output.raise_failure = lambda: None
    output.judge = judged
    source: Any = SimpleNamespace(
        group_metadata=lambda: "metadata",
        vouch=lambda offsets, _: Vouching(None, offsets, {}, {}),
        output_ids=dict,
    )
    sink = TransactionalSink(Settings(), source=source)
    sink._output = output
    sink.begin()
    before = output.producer
    before.send_offsets_to_transaction = lambda *_: None

    def out_of_sequence(*_: object) -> None:
        raise KafkaException(OUT_OF_SEQUENCE)

    before.commit_transaction = before.abort_transaction = out_of_sequence
    with pytest.raises(AbortableError, match="deleted and made again"):
        sink.commit({TopicPartition("in", 0): 7}, lambda: True)
    sink.abort()
    sink.begin()
    assert output.producer is not before
    assert output.producer.ready


def test_what_a_bounded_call_raises_comes_out_of_it() -> None:
    with pytest.raises(KafkaException):
        bounded(Producer().begin_transaction, 5.0)
    bounded(lambda: None, 5.0)


def test_a_transaction_that_the_coordinator_does_not_have_needs_no_abort(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It takes no partition where one of their topics was just deleted; librdkafka then asks for
    the end of a transaction that never began, and takes the answer for fatal."""
    output: Any = Output()
    sink = TransactionalSink(Settings(), source=NO_IDS)
    sink._output = output
    sink.begin()
    ended = output.producer

    def none_open(_: float) -> None:
        raise KafkaException(
            KafkaError(KafkaError.INVALID_TXN_STATE, "an invalid state", fatal=True)
        )

    ended.abort_transaction = none_open
    sink.abort()
    assert "there was nothing to abort (an invalid state)" in caplog.text
    sink.begin()
    assert output.producer is not ended
    assert output.producer.ready


def test_the_output_topics_that_were_written_are_vouched_for() -> None:
    """One that is gone and was not written to holds up nothing."""
    output: Any = Output()
    output.watch = SimpleNamespace(count=0)
    output.send = lambda *_: None
    output.serve = lambda: None
    output.settle = lambda *_: None
    asked: list[Any] = []

    def vouch(offsets: Any, output_ids: Any) -> Vouching:
        asked.append(dict(output_ids))
        return Vouching(None, offsets, {}, {})

    source: Any = SimpleNamespace(
        group_metadata=lambda: "metadata",
        vouch=vouch,
        output_ids=lambda: {"out": "A", "dead": "B"},
        assignments=tuple,
    )
    sink = TransactionalSink(Settings(), source=source)
    sink._output = output
    partition = TopicPartition("in", 0)
    for sends in (True, False):
        sink.begin()
        output.producer.send_offsets_to_transaction = lambda *_: None
        if sends:
            sink.send(Outgoing("out", None, b"", (), None, None, Position(partition, 6)))
        sink.commit({partition: 7}, lambda: True)
    assert asked == [{"out": "A"}, {}]


def test_what_is_written_to_a_topic_that_is_made_again_meanwhile_is_given_up_at_once() -> None:
    """The client may wait for it for as long as it is let."""
    output: Any = Output()
    output.watch = SimpleNamespace(count=0)
    output.send = lambda *_: None
    ids = {"out": "A", "dead": "B"}
    doomed: list[str] = []

    def flush(_: float, why_doomed: Callable[[], str]) -> None:
        # One that is gone, and another one to which nothing was sent.
        turns: tuple[Mapping[str, str], ...] = ({}, {"out": "A", "dead": "D"}, {"out": "C"})
        for changed in turns:
            ids.clear()
            ids.update(changed)
            doomed.append(why_doomed())
        raise AbortableError(doomed[-1])

    output.flush = flush
    source: Any = SimpleNamespace(output_ids=lambda: dict(ids))
    sink = TransactionalSink(Settings(), source=source)
    sink._output = output
    sink.begin()
    sink.send(Outgoing("out", None, b"", (), None, None, Position(TopicPartition("in", 0), 6)))
    with pytest.raises(AbortableError, match="the topic out was deleted and made again"):
        sink.commit({TopicPartition("in", 0): 7}, lambda: True)
    assert doomed[:2] == ["", ""]
