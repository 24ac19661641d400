"""Which messages are refused for what they are, decided without a broker."""

from __future__ import annotations

from confluent_kafka import KafkaError

from consumer.contracts.choices import RejectCode
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from consumer.kafka.sink.deliveries import Deliveries, Refusals

PARTITION, LOST = TopicPartition("articles", 0), TopicPartition("articles", 1)


def message(offset: int, topic: str = "out", partition: TopicPartition = PARTITION) -> Outgoing:
    return Outgoing(topic, None, b"", (), None, None, Position(partition, offset))


def test_only_the_first_failure_counts_and_a_purge_is_none() -> None:
    deliveries = Deliveries()
    deliveries.failed(message(0), KafkaError(KafkaError._PURGE_QUEUE))
    deliveries.failed(message(0), KafkaError(KafkaError._PURGE_INFLIGHT))
    assert deliveries.failure is None
    deliveries.failed(message(1, "first"), KafkaError(KafkaError._MSG_TIMED_OUT))
    deliveries.failed(message(2, "second"), KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert deliveries.failure is not None
    topic, error = deliveries.failure
    assert (topic, error.code()) == ("first", KafkaError._MSG_TIMED_OUT)


def test_in_company_a_message_is_a_suspect_and_alone_it_is_refused() -> None:
    refusals = Refusals()
    assert not refusals.suspects
    refusals.refuse(message(4), RejectCode.TOO_LARGE, alone=False)
    assert refusals.suspects
    assert not refusals.refused("out", message(4).position)
    refusals.refuse(message(4), RejectCode.TOO_LARGE, alone=True)
    assert not refusals.suspects
    assert refusals.refused("out", message(4).position) is RejectCode.TOO_LARGE
    assert not refusals.refused("dead", message(4).position)
    assert not refusals.refused("out", message(5).position)


def test_a_message_that_is_refused_again_is_refused_for_the_last_reason() -> None:
    refusals = Refusals()
    refusals.refuse(message(4), RejectCode.TIMESTAMP_REFUSED, alone=True)
    assert refusals.refused("out", message(4).position) is RejectCode.TIMESTAMP_REFUSED
    refusals.refuse(message(4), RejectCode.RECORD_REFUSED, alone=True)
    assert refusals.refused("out", message(4).position) is RejectCode.RECORD_REFUSED


def test_what_is_committed_or_lost_is_settled() -> None:
    refusals = Refusals()
    refusals.refuse(message(4), RejectCode.TOO_LARGE, alone=False)
    refusals.refuse(message(9, partition=LOST), RejectCode.TOO_LARGE, alone=False)
    refusals.refuse(message(3), RejectCode.TOO_LARGE, alone=True)
    refusals.settle({PARTITION: 4}, [PARTITION, LOST])
    assert refusals.suspects
    assert not refusals.refused("out", message(3).position)
    refusals.settle({PARTITION: 5}, [PARTITION, LOST])
    assert refusals.suspects
    refusals.settle({}, [PARTITION])
    assert not refusals.suspects
