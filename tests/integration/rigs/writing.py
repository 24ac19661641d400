"""A sink as the publish stage drives it, with the source whose offsets it commits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from consumer.contracts.messages import Headers, Outgoing, Position, TopicPartition
from consumer.contracts.ports import Sink
from consumer.kafka.sink.sink import make_sink
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.reading import Heard, poll_until, settings

#: How long markers may take on a loaded machine.
MARKERS_S = 5.0


@dataclass(frozen=True)
class Ground:
    """An input topic with its output and dead-letter topics, as `reading.settings` names them."""

    bootstrap: str
    topic: str
    group: str

    @property
    def output(self) -> str:
        return f"{self.topic}-tagged"

    @property
    def dead(self) -> str:
        return f"{self.topic}-dead"

    @property
    def partition(self) -> TopicPartition:
        return TopicPartition(self.topic, 0)

    def settings(self, **more: Any) -> Settings:
        return settings(self.bootstrap, self.topic, self.group, **more)

    def message(
        self,
        offset: int,
        value: bytes | None = None,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Outgoing:
        """The output for an input offset; its value is the offset unless given."""
        position = Position(self.partition, offset)
        text = value if value is not None else str(offset).encode()
        return Outgoing(self.output, key, text, headers, timestamp_ms, partition, position)

    def values(self, isolation: str = "read_committed") -> list[bytes | None]:
        """The values in the output topic, as `records`."""
        return [one.value for one in self.records(isolation)]

    def records(self, isolation: str = "read_committed") -> list[Record]:
        """The messages in the output topic, by partition, then offset.

        The broker answers a commit when the outcome is in its log; the markers that show it to
        readers follow. So a committed reader waits for them, though not for a transaction that
        stays open.
        """
        if isolation == "read_committed":
            deadline = time.monotonic() + MARKERS_S
            while time.monotonic() < deadline and self._end() != self._end("read_uncommitted"):
                time.sleep(0.05)
        return helpers.read_all(self.bootstrap, self.output, isolation)

    def _end(self, isolation: str = "read_committed") -> dict[int, int]:
        return helpers.end_offsets(self.bootstrap, self.output, isolation)

    def committed(self) -> int | None:
        """The group's offset in partition 0 of the input."""
        return helpers.committed_offsets(self.bootstrap, self.group, self.topic).get(0)


@contextmanager
def opened(asked: Settings, join: bool = True) -> Iterator[tuple[Sink, KafkaSource]]:
    """An open sink and its open source, which has joined the group unless told otherwise."""
    source = KafkaSource(asked)
    sink = make_sink(asked, source)
    try:
        source.open(Heard())
        sink.open()
        if join:
            # Paused, so that no message is taken while it joins.
            source.pause()
            poll_until(lambda: bool(source.assignments()), source)
            source.resume()
        yield sink, source
    finally:
        sink.close()
        source.close()


def write(sink: Sink, messages: Sequence[Outgoing]) -> None:
    """Begin, send all, commit the offset after the last of each partition."""
    sink.begin()
    for message in messages:
        sink.send(message)
    sink.commit(after(messages), lambda: True)


def after(messages: Sequence[Outgoing]) -> dict[TopicPartition, int]:
    """For each input partition the offset after its last message."""
    return {one.position.topic_partition: one.position.offset + 1 for one in messages}
