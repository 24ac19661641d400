"""The stamp of a committed offset: of which topic it is one.

Kafka keeps a few words of the group's own beside each offset. Ours name the topic's id, so that a
later worker can tell an offset of this topic from one of an earlier topic of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import confluent_kafka

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.rebalance import NO_EPOCH

_MARK = "nerstream topic-id="


def topic_id_in(metadata: str | None) -> str | None:
    """The topic's id in what stands beside a committed offset; None in what others wrote."""
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
