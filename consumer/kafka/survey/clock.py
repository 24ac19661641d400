"""The brokers' clock, as far as it shows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumer.contracts.cluster import Clock, Unknown
from consumer.contracts.messages import TopicPartition
from consumer.kafka.survey.asking import ANSWER_S

#: Seconds for which something is waited for that shows the clock.
_PATIENCE_S = 1.5
_LOOK_S = 0.3


def look_at_clock(client: AdminClient, stamped: Mapping[str, int]) -> Clock | Unknown:
    """Compare the clocks by what the brokers stamp themselves; no request asks for the time.

    A stamp is in the past, so the newest one says by how much the brokers' clock is ahead at least.
    One that appears between two looks was made between them: so it also says by how much at most.

    Args:
        stamped: topics whose messages the brokers stamp, each with its partitions:
            `__consumer_offsets`, and those whose timestamps are of the append.
    """
    asked = [
        TopicPartition(topic, part) for topic, parts in stamped.items() for part in range(parts)
    ]
    newest: int | None = None
    least, most = float("-inf"), None
    until = time.monotonic() + _PATIENCE_S
    before = time.time()
    while asked:
        began = time.time()
        found = newest_timestamp(client, asked)
        ended = time.time()
        if found is not None:
            least = max(least, found / 1000 - ended)
            if newest is not None and found > newest:
                most = found / 1000 - before
                return Clock(least, most)
            newest = found
        before = began
        if time.monotonic() > until:
            break
        time.sleep(_LOOK_S)
    if newest is None:
        return Unknown("the brokers have stamped nothing that could be seen")
    return Clock(least, most)


def newest_timestamp(client: AdminClient, asked: Sequence[TopicPartition]) -> int | None:
    """The newest timestamp, milliseconds; None where there is none or none may be seen."""
    answers = client.list_offsets(
        {
            KafkaTopicPartition(one.topic, one.partition): OffsetSpec.max_timestamp()
            for one in asked
        },
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
        request_timeout=ANSWER_S,
    )
    stamps = []
    for answer in answers.values():
        try:
            stamps.append(answer.result().timestamp)
        except KafkaException:
            continue
    return max((one for one in stamps if one is not None and one >= 0), default=None)
