"""The helpers say what is in Kafka: checked against a broker before anything rests on them."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record


def test_records_come_back_as_they_were_written(kafka: str, topics: TopicFactory) -> None:
    topic = topics(partitions=2)
    first = Record(b"one", b"k", (("a", b"1"), ("a", None)), timestamp_ms=1_000, partition=1)
    second = Record(None, None, (), timestamp_ms=2_000, partition=0)
    helpers.produce(kafka, topic, [first, second])

    read = helpers.read_all(kafka, topic)

    assert read == [
        Record(None, None, (), 2_000, 0, 0),
        Record(b"one", b"k", (("a", b"1"), ("a", None)), 1_000, 1, 0),
    ]


def test_an_aborted_transaction_is_read_only_uncommitted(kafka: str, topics: TopicFactory) -> None:
    topic = topics()
    client = helpers.producer(kafka, transactional_id=topic)
    client.init_transactions(30)
    client.begin_transaction()
    helpers.put(client, topic, [Record(b"aborted")])
    client.flush(30)
    client.abort_transaction(30)
    client.begin_transaction()
    helpers.put(client, topic, [Record(b"committed")])
    client.commit_transaction(30)
    client.begin_transaction()
    helpers.put(client, topic, [Record(b"open")])
    client.flush(30)

    committed = helpers.read_all(kafka, topic)
    everything = helpers.read_all(kafka, topic, isolation="read_uncommitted")
    client.abort_transaction(30)

    assert [record.value for record in committed] == [b"committed"]
    assert [record.value for record in everything] == [b"aborted", b"committed", b"open"]


def test_committed_offsets_of_an_unknown_group_are_none(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    assert helpers.committed_offsets(kafka, group, topics(partitions=2)) == {}


class Answers:
    """Fails with each of these codes in turn, then answers."""

    def __init__(self, *codes: int) -> None:
        self._codes = list(codes)

    def __call__(self) -> str:
        if self._codes:
            raise KafkaException(KafkaError(self._codes.pop(0)))
        return "known"


def test_a_question_is_asked_again_while_a_leader_is_chosen() -> None:
    ask = Answers(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._TRANSPORT)

    assert helpers.patiently(ask) == "known"


def test_a_question_that_stays_unanswered_is_an_error() -> None:
    ask = Answers(KafkaError.NOT_LEADER_FOR_PARTITION)

    with pytest.raises(KafkaException, match="NOT_LEADER_FOR_PARTITION"):
        helpers.patiently(ask, timeout_s=-1)


def test_an_answer_that_will_not_change_is_an_error_at_once() -> None:
    ask = Answers(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        helpers.patiently(ask)
