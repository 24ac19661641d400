from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import AbortableError, KafkaProblem, RejectedMessage, RenewalDue
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from consumer.kafka.sink import output
from consumer.kafka.tools.transactional_writer import TransactionalWriter
from consumer.settings.schema import Settings
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.support.fakes import eventually

TAKEN_OVER = "somebody else has begun"


def writer(kafka: str, name: str, **properties: str) -> TransactionalWriter:
    # Longer than any test waits: what is left open is ended by the writer, or not at all.
    settings = Settings(bootstrap_servers=kafka, kafka=properties, transaction_timeout_ms=600_000)
    return TransactionalWriter(settings, name, TAKEN_OVER)


def message(topic: str, number: int, value: bytes = b"x") -> Outgoing:
    position = Position(TopicPartition("source", 0), number)
    return Outgoing(topic, None, value, (), 1_000 + number, 0, position)


def values(kafka: str, topic: str) -> list[bytes | None]:
    return [one.value for one in helpers.read_settled(kafka, topic)]


def test_what_is_committed_is_there_and_what_is_aborted_is_not(
    kafka: str, topics: TopicFactory
) -> None:
    topic = topics("t")
    with writer(kafka, topic) as mine:
        mine.open()
        assert not mine.is_open
        assert mine.open_s == 0
        for value, is_good in ((b"a", True), (b"b", False), (b"c", True)):
            mine.begin()
            assert mine.is_open
            assert mine.open_s > 0
            mine.send(message(topic, 1, value))
            if is_good:
                assert mine.commit()
            else:
                mine.abort()
                mine.open()
            assert not mine.is_open
        # A commit is answered before its marker is written.
        (before,) = helpers.settled_ends(kafka, topic).values()
        mine.begin()
        mine.send(message(topic, 1, b"left"))
        eventually(
            lambda: helpers.end_offsets(kafka, topic, "read_uncommitted")[0] > before,
            "it is written",
        )
    assert values(kafka, topic) == [b"a", b"c"]
    # What was left open was aborted, and a marker ends it: it would hold back readers.
    assert helpers.settled_ends(kafka, topic)[0] == before + 2


def test_an_empty_transaction_is_no_fault(kafka: str, topics: TopicFactory) -> None:
    topic = topics("t")
    with writer(kafka, topic) as mine:
        mine.open()
        mine.begin()
        assert mine.commit()
        mine.begin()
        mine.send(message(topic, 1))
        mine.commit()
    assert values(kafka, topic) == [b"x"]


def _commits(mine: TransactionalWriter, topic: str) -> None:
    mine.begin()
    mine.send(message(topic, 2))
    mine.commit()


def _aborts(mine: TransactionalWriter, topic: str) -> None:
    """As whoever hears of a failed message does."""
    mine.begin()
    mine.send(message(topic, 2))
    try:
        mine.commit()
    except AbortableError:
        mine.abort()


@pytest.mark.parametrize("goes_on", [_commits, _aborts])
def test_the_one_that_opened_last_is_the_only_one(
    kafka: str, topics: TopicFactory, goes_on: Callable[[TransactionalWriter, str], None]
) -> None:
    topic = topics("t")
    with writer(kafka, topic) as first, writer(kafka, topic) as second:
        first.open()
        _commits(first, topic)
        second.open()
        with pytest.raises((KafkaProblem, AbortableError)) as told:
            goes_on(first, topic)
        if isinstance(told.value, AbortableError):
            with pytest.raises(KafkaProblem, match=TAKEN_OVER):
                first.abort()
        else:
            assert str(told.value) == TAKEN_OVER
        _commits(second, topic)
    assert len(values(kafka, topic)) == 2


def test_one_that_is_fenced_in_its_transaction_commits_nothing(
    kafka: str, topics: TopicFactory
) -> None:
    topic = topics("t")
    with writer(kafka, topic) as first, writer(kafka, topic) as second:
        first.open()
        first.begin()
        first.send(message(topic, 1, b"lost"))
        second.open()
        with pytest.raises((KafkaProblem, AbortableError)) as told:
            first.commit()
        if isinstance(told.value, AbortableError):
            with pytest.raises(KafkaProblem, match=TAKEN_OVER):
                first.abort()
        else:
            assert str(told.value) == TAKEN_OVER
        _commits(second, topic)
    assert values(kafka, topic) == [b"x"]


def test_what_the_topic_refuses_is_found_out_one_by_one(kafka: str, topics: TopicFactory) -> None:
    topic = topics("t", config={"max.message.bytes": "1000"})
    sent = [message(topic, number, b"x" * (3_000 if number == 1 else 10)) for number in range(3)]
    tries = 0
    with writer(kafka, topic, **{"compression.type": "none"}) as mine:
        while True:
            tries += 1
            assert tries < 10
            mine.open()
            try:
                mine.begin()
                for one in sent:
                    if mine.refused(topic, one.position) is None:
                        mine.send(one)
                mine.commit()
            except AbortableError:
                mine.abort()
            else:
                break
        assert mine.refused(topic, sent[1].position) is RejectCode.TOO_LARGE
        mine.settle({TopicPartition("source", 0): 3})
        # While there were suspects, each was sent by itself; that needs another producer.
        with pytest.raises(RenewalDue):
            mine.begin()
        mine.open()
        mine.begin()
        mine.send(message(topic, 5))
        mine.commit()
    assert len(values(kafka, topic)) == 3


def test_what_the_client_cannot_write_is_told_at_once(kafka: str, topics: TopicFactory) -> None:
    topic = topics("t")
    with writer(kafka, topic) as mine:
        mine.open()
        mine.begin()
        with pytest.raises(RejectedMessage) as told:
            mine.send(message(topic, -1_000))
        assert told.value.code == RejectCode.TIMESTAMP_REFUSED
        mine.send(message(topic, 1))
        mine.commit()
    assert values(kafka, topic) == [b"x"]


class _Refused:
    """A producer whose transactional id nobody has been given."""

    def init_transactions(self, _: float) -> None:
        raise KafkaException(KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED))

    def purge(self) -> None:
        """Nothing is waiting."""


def test_a_name_that_this_user_may_not_have_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "make_client", lambda *_: _Refused())
    mine = writer("127.0.0.1:1", "nerstream.replay@dead")
    with pytest.raises(
        KafkaProblem,
        match=r"allow this user to write and describe the transactional id nerstream\.replay@dead",
    ):
        mine.open()
    mine.close()
