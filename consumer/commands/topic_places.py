"""What a command asks of topics and of the group."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from consumer.contracts.messages import TopicPartition


class TopicPlaces(Protocol):
    """What `consumer.kafka.tools.places.Places` tells."""

    def topics(self, entries: Sequence[str], setting: str) -> Mapping[str, Sequence[int]]: ...

    def starts(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    def at(
        self, partitions: Collection[TopicPartition], time_ms: int
    ) -> Mapping[TopicPartition, int]: ...

    def committed(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    def compacted(self, topics: Collection[str]) -> frozenset[str]: ...
