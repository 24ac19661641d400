"""Dispatcher: which message an outcome becomes, and where it goes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.errors import AbortableError, KafkaProblem, RejectedMessage
from consumer.contracts.headers import SOURCE
from consumer.contracts.messages import Outcome, Outgoing, Rejected, Tombstone, TopicPartition
from consumer.pipeline.dispatch import Dispatcher, Route, WatchedDispatcher
from tests.support.fakes import FakeCodec, raw, tagged, untagged
from tests.support.memory.fake_kafka import FakeBroker
from tests.support.memory.fake_sink import FakeSink


class Desk:
    """A dispatcher with an open transaction; `final` commits it."""

    def __init__(self) -> None:
        self.broker = FakeBroker()
        self.sink = FakeSink(self.broker)
        self.sink.open()
        self.sink.begin()
        route = Route("out", "dead", "1.2.3")
        self._dispatcher = Dispatcher(self.sink, FakeCodec(), route, lambda: 5.0)
        self._sent: list[Outcome] = []

    def send(self, outcome: Outcome) -> Outcome:
        self._sent.append(outcome)
        return self._dispatcher.send(outcome)

    def commit(self) -> None:
        partition = self._sent[0].raw.position.topic_partition
        for outcome in self._sent:
            self.broker.inputs.setdefault(partition, []).append(outcome.raw)
        last = max(outcome.raw.position.offset for outcome in self._sent)
        self.sink.commit({partition: last + 1}, lambda: True)

    def final(self) -> list[Outgoing]:
        self.commit()
        return self.broker.final


@pytest.fixture
def desk() -> Desk:
    return Desk()


def rejected(offset: int, **kwargs: Any) -> Rejected:
    message = raw(offset, **kwargs)
    return Rejected(message, RejectCode.NO_TEXT, "no text", RejectStage.PREPARE)


def code_and_stage(message: Outgoing) -> tuple[bytes | None, bytes | None]:
    headers = dict(message.headers)
    return headers["__nerstream.errors.code"], headers["__nerstream.errors.stage"]


def test_an_article_goes_out_enriched_with_its_key_headers_and_timestamp(desk: Desk) -> None:
    outcome = tagged(3, headers=(("traceparent", b"00-1"), ("a", None)), timestamp_ms=77)
    assert desk.send(outcome) is outcome
    assert desk.final() == [
        Outgoing(
            topic="out",
            key=b"key",
            value=b"Ada wrote|Ada|fake",
            headers=(("traceparent", b"00-1"), ("a", None), (SOURCE, b"articles/0/3")),
            timestamp_ms=77,
            partition=None,
            position=outcome.raw.position,
        )
    ]


def test_a_tombstone_goes_out_as_it_is(desk: Desk) -> None:
    outcome = Tombstone(raw(3, None, headers=(("a", b"1"),)))
    assert desk.send(outcome) is outcome
    (message,) = desk.final()
    assert (message.topic, message.value, message.key) == ("out", None, b"key")
    assert message.headers == (("a", b"1"), (SOURCE, b"articles/0/3"))


def test_what_no_model_read_goes_out_with_the_reason(desk: Desk) -> None:
    outcome = untagged(3)
    assert desk.send(outcome) is outcome
    (message,) = desk.final()
    assert (message.topic, message.value) == ("out", b"picture|no_text")


def test_a_rejected_message_goes_to_the_dead_letters(desk: Desk) -> None:
    outcome = rejected(3)
    assert desk.send(outcome) is outcome
    (message,) = desk.final()
    assert (message.topic, message.value) == ("dead", b"Ada wrote")
    assert code_and_stage(message) == (b"no_text", b"prepare")
    assert dict(message.headers)["__nerstream.errors.version"] == b"1.2.3"
    assert dict(message.headers)[SOURCE] == b"articles/0/3"


@pytest.mark.parametrize(
    ("partition", "expected"), [(0, 0), (2, 2), (3, 0), (7, 1)], ids=lambda value: str(value)
)
def test_without_a_key_the_partition_keeps_its_number_where_there_is_one(
    desk: Desk, partition: int, expected: int
) -> None:
    desk.sink.partitions = {"out": 3}
    desk.send(tagged(0, key=None, partition=TopicPartition("articles", partition)))
    assert [message.partition for message in desk.final()] == [expected]


def test_a_dead_letter_without_a_key_counts_the_dead_letter_topics_partitions(desk: Desk) -> None:
    desk.sink.partitions = {"out": 8, "dead": 2}
    desk.send(rejected(0, key=None, partition=TopicPartition("articles", 5)))
    assert [message.partition for message in desk.final()] == [1]


def test_an_empty_key_is_a_key(desk: Desk) -> None:
    desk.send(tagged(0, key=b""))
    assert [message.partition for message in desk.final()] == [None]


def test_what_the_client_finds_too_large_becomes_a_dead_letter(desk: Desk) -> None:
    desk.sink.client_max_bytes = {"out": 10}
    outcome = tagged(3)
    final = desk.send(outcome)
    assert isinstance(final, Rejected)
    assert (final.code, final.stage, final.raw) == (
        RejectCode.TOO_LARGE,
        RejectStage.PUBLISH,
        outcome.raw,
    )
    (message,) = desk.final()
    assert (message.topic, message.value) == ("dead", b"Ada wrote")
    assert code_and_stage(message) == (b"too_large", b"publish")


def test_what_the_broker_refused_becomes_a_dead_letter_the_next_time(desk: Desk) -> None:
    desk.sink.broker_max_bytes = {"out": 10}
    outcome = tagged(3)
    assert desk.send(outcome) is outcome
    with pytest.raises(AbortableError):
        desk.commit()
    desk.sink.abort()
    desk.sink.begin()
    final = desk.send(outcome)
    assert isinstance(final, Rejected)
    assert final.code is RejectCode.TOO_LARGE
    assert "out" in final.message
    assert "max.message.bytes" in final.message
    assert desk.sink.sent_count == 2
    desk.broker.inputs.clear()
    (message,) = desk.final()
    assert message.topic == "dead"
    assert code_and_stage(message) == (b"too_large", b"publish")


def test_a_dead_letter_that_is_too_large_stops_the_worker(desk: Desk) -> None:
    desk.sink.client_max_bytes = {"dead": 3}
    with pytest.raises(
        KafkaProblem, match=re.escape("dead-letter topic dead does not take")
    ) as caught:
        desk.send(rejected(3))
    assert "raise its max.message.bytes" in str(caught.value)
    assert "the message at articles[0]@3 (" in str(caught.value)


def test_a_dead_letter_that_the_broker_refused_stops_the_worker(desk: Desk) -> None:
    desk.sink.broker_max_bytes = {"dead": 3}
    desk.send(rejected(3))
    with pytest.raises(AbortableError):
        desk.commit()
    desk.sink.abort()
    desk.sink.begin()
    with pytest.raises(KafkaProblem, match="dead-letter topic dead does not take"):
        desk.send(rejected(3))


@pytest.mark.parametrize(
    ("late", "keyless", "code", "says"),
    [
        (True, False, RejectCode.TIMESTAMP_REFUSED, "message.timestamp.after.max.ms"),
        (False, True, RejectCode.RECORD_REFUSED, "a compacted topic takes none without a key"),
    ],
)
def test_what_the_output_topic_does_not_take_becomes_a_dead_letter(
    desk: Desk, late: bool, keyless: bool, code: RejectCode, says: str
) -> None:
    desk.sink.latest_timestamp_ms = {"out": 5_000}
    desk.sink.compacted = {"out"}
    timestamp_ms = 9_000 if late else 1_000
    outcome = tagged(3, timestamp_ms=timestamp_ms, key=None if keyless else b"key")
    desk.send(outcome)
    with pytest.raises(AbortableError):
        desk.commit()
    desk.sink.abort()
    desk.sink.begin()
    final = desk.send(outcome)
    assert isinstance(final, Rejected)
    assert final.code is code
    assert says in final.message
    (message,) = desk.final()
    assert (message.topic, message.timestamp_ms) == ("dead", timestamp_ms)


def test_a_dead_letter_whose_timestamp_is_refused_goes_without_it(desk: Desk) -> None:
    desk.sink.latest_timestamp_ms = {"dead": 5_000}
    outcome = rejected(3, timestamp_ms=9_000)
    desk.send(outcome)
    with pytest.raises(AbortableError):
        desk.commit()
    desk.sink.abort()
    desk.sink.begin()
    assert desk.send(outcome) is outcome
    (message,) = desk.final()
    assert (message.topic, message.value, message.timestamp_ms) == ("dead", b"Ada wrote", None)
    assert dict(message.headers)["__nerstream.errors.timestamp"] == b"9000"


def test_a_dead_letter_without_a_key_for_a_compacted_topic_stops_the_worker(desk: Desk) -> None:
    desk.sink.compacted = {"dead"}
    desk.send(rejected(3, key=None))
    with pytest.raises(AbortableError):
        desk.commit()
    desk.sink.abort()
    desk.sink.begin()
    with pytest.raises(KafkaProblem, match="must not be compacted"):
        desk.send(rejected(3, key=None))


@pytest.mark.parametrize("error", [AbortableError("lost"), KafkaProblem("fenced")])
def test_what_kafka_raises_passes_through(desk: Desk, error: Exception) -> None:
    desk.sink.send_failures.append(error)
    with pytest.raises(type(error)) as caught:
        desk.send(tagged(3))
    assert caught.value is error


def test_who_watches_is_told_of_what_was_sent_in_the_end() -> None:
    sink = FakeSink(FakeBroker())
    sink.open()
    sink.begin()
    told: list[Outcome] = []
    route = Route("out", "dead", "1.2.3")
    watched = WatchedDispatcher(sink, FakeCodec(), route, lambda: 5.0, told.append)
    sink.send_failures.extend([None, RejectedMessage(RejectCode.TOO_LARGE, "too large")])
    for outcome in (tagged(0), tagged(1), rejected(2)):
        told_before = len(told)
        assert watched.send(outcome) is told[told_before]
    kinds = [type(outcome).__name__ for outcome in told]
    assert kinds == ["TaggedArticle", "Rejected", "Rejected"]
    sink.send_failures.append(AbortableError("gone"))
    with pytest.raises(AbortableError):
        watched.send(tagged(3))
    assert len(told) == 3
