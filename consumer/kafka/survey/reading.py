"""GrouplessReader: reads some messages of the input, without a group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumer.contracts.cluster import Bounds
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.client import ClientWatch, make_client
from consumer.kafka.errors import offset_of
from consumer.kafka.messages import raw_message
from consumer.kafka.source.properties import FETCH_BYTES
from consumer.kafka.survey.asking import ANSWER_S
from consumer.settings.schema import Settings

#: Seconds without a message after which reading is over.
PATIENCE_S = 10.0

_AT_ONCE = 500


def offsets_at(
    client: AdminClient,
    partitions: Iterable[TopicPartition],
    which: OffsetSpec,
    level: IsolationLevel = IsolationLevel.READ_COMMITTED,
) -> dict[TopicPartition, int]:
    """An offset of each partition; those that cannot be had are left out.

    For a time, -1 says that nothing is so new.
    """
    asked = {KafkaTopicPartition(one.topic, one.partition): which for one in partitions}
    if not asked:
        return {}
    answers = client.list_offsets(asked, isolation_level=level, request_timeout=ANSWER_S)
    found = {}
    for one, answer in answers.items():
        try:
            found[TopicPartition(one.topic, one.partition)] = offset_of(answer.result())
        except KafkaException:
            continue
    return found


def bounds_of(
    client: AdminClient, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, Bounds]:
    """What each partition holds; those that cannot be asked are left out."""
    begins = offsets_at(client, partitions, OffsetSpec.earliest())
    stable = offsets_at(client, partitions, OffsetSpec.latest())
    return {
        one: Bounds(begins[one], stable[one], stable[one])
        for one in partitions
        if one in begins and one in stable
    }


def group_reader(settings: Settings, group_id: str) -> Consumer:
    """A consumer that joins no group and commits nothing.

    Args:
        group_id: the group whose offsets it may ask for.
    """
    consumer: Consumer = make_client(
        Consumer,
        settings,
        ClientWatch(),
        {"max.partition.fetch.bytes": FETCH_BYTES, "enable.sparse.connections": False},
        {
            "group.id": group_id,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
        },
    )
    return consumer


def committed_by(
    consumer: Consumer, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Where the group stands in each partition in which it has committed anything.

    Raises:
        KafkaException: no answer, or this user may not ask.
    """
    asked = [KafkaTopicPartition(one.topic, one.partition) for one in partitions]
    found = consumer.committed(asked, ANSWER_S) if asked else []
    return {
        TopicPartition(one.topic, one.partition): one.offset for one in found if one.offset >= 0
    }


def read_spans(
    consumer: Consumer, spans: Mapping[TopicPartition, tuple[int, int]]
) -> list[RawMessage]:
    """The messages of each partition between two offsets, the second not included.

    What transactions took back is passed over. Ends early where nothing comes for `PATIENCE_S`.

    Raises:
        KafkaException: reading cannot go on.
    """
    ends = {one: end for one, (begin, end) in spans.items() if begin < end}
    consumer.assign([KafkaTopicPartition(one.topic, one.partition, spans[one][0]) for one in ends])
    found: list[RawMessage] = []
    last = time.monotonic()
    while ends and time.monotonic() - last < PATIENCE_S:
        for message in consumer.consume(_AT_ONCE, 0.2):
            last = time.monotonic()
            where = TopicPartition(message.topic(), message.partition())
            error = message.error()
            if error is None:
                at = message.offset()
                if where in ends and at < ends[where]:
                    found.append(raw_message(message, 0))
                if at + 1 >= ends.get(where, 0):
                    ends.pop(where, None)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends.pop(where, None)
            elif not error.retriable():
                raise KafkaException(error)
    consumer.unassign()
    return found
