"""Which messages are too large by themselves, decided without a broker."""

from __future__ import annotations

from confluent_kafka import KafkaError

from consumer.articles import Outgoing, Position, TopicPartition
from consumer.kafka.deliveries import Deliveries, Oversized

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
    oversized = Oversized()
    assert not oversized.suspects
    oversized.refuse(message(4), alone=False)
    assert oversized.suspects
    assert not oversized.refused("out", message(4).position)
    oversized.refuse(message(4), alone=True)
    assert not oversized.suspects
    assert oversized.refused("out", message(4).position)
    assert not oversized.refused("dead", message(4).position)
    assert not oversized.refused("out", message(5).position)


def test_what_is_committed_or_lost_is_settled() -> None:
    oversized = Oversized()
    oversized.refuse(message(4), alone=False)
    oversized.refuse(message(9, partition=LOST), alone=False)
    oversized.refuse(message(3), alone=True)
    oversized.settle({PARTITION: 4}, [PARTITION, LOST])
    assert oversized.suspects
    assert not oversized.refused("out", message(3).position)
    oversized.settle({PARTITION: 5}, [PARTITION, LOST])
    assert oversized.suspects
    oversized.settle({}, [PARTITION])
    assert not oversized.suspects
