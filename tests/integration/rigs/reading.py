"""A source as the poll stage drives it, with everything that it was told on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from consumer.contracts.choices import JumpReason
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings

#: Ample for a loaded machine; nothing waits this long unless it is broken.
TIMEOUT_S = 180.0


class Heard:
    """A rebalance listener that writes down what it hears."""

    def __init__(self) -> None:
        self.events: list[tuple[str, tuple[TopicPartition, ...]]] = []
        self.jumps: list[tuple[JumpReason, int]] = []
        self.revoking: Callable[[Sequence[TopicPartition]], None] = lambda _: None

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append(("assigned", tuple(sorted(partitions))))

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.revoking(partitions)
        self.events.append(("revoked", tuple(sorted(partitions))))

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append(("lost", tuple(sorted(partitions))))

    def on_jumped(self, reason: JumpReason, missed: int) -> None:
        self.jumps.append((reason, missed))

    def on_rejoined(self) -> None:
        self.events.append(("rejoined", ()))

    def of(self, kind: str) -> list[TopicPartition]:
        """All partitions of all events of a kind."""
        return sorted(one for name, many in self.events if name == kind for one in many)


def settings(bootstrap: str, topic: str, group: str, **more: Any) -> Settings:
    """Settings for one input topic; the output topics are named after it."""
    values = {
        "bootstrap_servers": bootstrap,
        "input_topics": (topic,),
        "output_topic": f"{topic}-tagged",
        "dead_letter_topic": f"{topic}-dead",
        "group_id": group,
        "instance": "one",
        **more,
    }
    return Settings(**values)


@contextmanager
def opened(asked: Settings) -> Iterator[tuple[KafkaSource, Heard]]:
    """An open source and its listener; closed at the end."""
    source, heard = KafkaSource(asked), Heard()
    try:
        source.open(heard)
        yield source, heard
    finally:
        source.close()


def read(source: KafkaSource, count: int, at_once: int = 100) -> list[RawMessage]:
    """Poll until there are `count` messages, no more; fails when they do not come."""
    taken: list[RawMessage] = []
    deadline = time.monotonic() + TIMEOUT_S
    while len(taken) < count:
        assert time.monotonic() < deadline, f"{len(taken)} messages came, not {count}"
        taken += source.poll(min(at_once, count - len(taken)), 0.2)
    return taken


def poll_until(condition: Callable[[], bool], *sources: KafkaSource) -> list[RawMessage]:
    """Poll the sources in turn until the condition holds; gives what came meanwhile."""
    taken: list[RawMessage] = []
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        for source in sources:
            taken += source.poll(1, 0.05)
    return taken


def read_each_of(wanted: set[bytes], *sources: KafkaSource) -> list[RawMessage]:
    """Poll the sources in turn until each value came, as often as a rebalance repeats it."""
    taken: list[RawMessage] = []
    deadline = time.monotonic() + TIMEOUT_S
    while missing := wanted.difference(one.value or b"" for one in taken):
        assert time.monotonic() < deadline, f"{missing} did not come"
        for source in sources:
            taken += source.poll(10, 0.05)
    return taken


def offsets(messages: Sequence[RawMessage], partition: int = 0) -> list[int]:
    """The offsets of one partition, in the order of delivery."""
    return [
        one.position.offset
        for one in messages
        if one.position.topic_partition.partition == partition
    ]
