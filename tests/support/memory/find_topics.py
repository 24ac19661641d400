"""Topics in memory, as `nerstream find` asks for them and reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.tools.ranges import Taken

Spans = Mapping[TopicPartition, tuple[int, int]]


@dataclass
class FindTopics:
    """The brokers and their reader in one.

    Attributes:
        messages: of all topics, each partition in order.
        counts: partitions of each topic.
        begins: first offsets that are there, where that is not 0.
        upto: ends, where more stands there than is known.
        group: what it has committed.
        has_own_time: whether timestamps are the producers'.
        held: stretches that an open transaction holds.
        reads: what was read so far.
    """

    messages: list[RawMessage]
    counts: Mapping[str, int]
    begins: dict[TopicPartition, int] = field(default_factory=dict)
    upto: dict[TopicPartition, int] = field(default_factory=dict)
    group: dict[TopicPartition, int] = field(default_factory=dict)
    has_own_time: bool = True
    held: list[tuple[TopicPartition, int, int]] = field(default_factory=list)
    compacted_topics: frozenset[str] = frozenset()
    reads: list[Spans] = field(default_factory=list)

    def topics(self, entries: Sequence[str], setting: str) -> Mapping[str, Sequence[int]]:
        del setting
        return {name: list(range(self.counts[name])) for name in entries}

    def starts(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {one: self.begins.get(one, 0) for one in partitions}

    def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {one: max(self.upto.get(one, 0), self._end(one)) for one in partitions}

    def at(self, partitions: Iterable[TopicPartition], time_ms: int) -> dict[TopicPartition, int]:
        found = {}
        for one in partitions:
            offsets = [
                raw.position.offset
                for raw in self._of(one)
                if raw.timestamp_ms is not None and raw.timestamp_ms >= time_ms
            ]
            found[one] = offsets[0] if offsets else self.ends([one])[one]
        return found

    def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {one: self.group[one] for one in partitions if one in self.group}

    def compacted(self, topics: Collection[str]) -> frozenset[str]:
        return self.compacted_topics & frozenset(topics)

    def cluster_id(self) -> str:
        return "cluster"

    def read(self, ranges: Spans) -> Iterator[Taken]:
        self.reads.append(ranges)
        done = 0
        for one, (start, end) in ranges.items():
            assert self.begins.get(one, 0) <= start < end, "nothing else can be read"
            for raw in self._of(one):
                if start <= raw.position.offset < end:
                    done += 1
                    yield Taken([(raw, self.has_own_time)], done=done)
            yield Taken(held=[held for held in self.held if held[0] == one], done=done)

    def _of(self, partition: TopicPartition) -> list[RawMessage]:
        return [
            raw
            for raw in self.messages
            if raw.position.topic_partition == partition
            and raw.position.offset >= self.begins.get(partition, 0)
        ]

    def _end(self, partition: TopicPartition) -> int:
        return max((raw.position.offset + 1 for raw in self._of(partition)), default=0)
