"""Stamps: each committed offset says to which topic it belongs.

Kafka keeps some text of the group's own with each offset. Ours names the topic's id. So a later
worker can tell an offset of this topic from one of an earlier topic of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import confluent_kafka

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.rebalance import NO_EPOCH

_MARK = "nerstream topic-id="


def topic_id_in(metadata: str | None) -> str | None:
    """The topic's id in the text of a committed offset; None where another program wrote it."""
    if metadata is None or not metadata.startswith(_MARK):
        return None
    return metadata.removeprefix(_MARK)


def stamped(
    offsets: Mapping[TopicPartition, int],
    ids: Mapping[TopicPartition, str],
    epochs: Mapping[TopicPartition, int],
) -> list[Any]:
    """Offsets to commit as the client's partitions, with the ids and the epochs that are known."""
    return [
        confluent_kafka.TopicPartition(
            one.topic,
            one.partition,
            offset,
            f"{_MARK}{ids[one]}" if one in ids else "",
            epochs.get(one, NO_EPOCH),
        )
        for one, offset in offsets.items()
    ]
