"""Where the contract of a sink is tried: what a sink writes to, and what a reader finds there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import Headers, Outgoing, Position, TopicPartition
from consumer.contracts.ports import Sink
from consumer.kafka.sink.sink import make_sink
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.writing import Ground, opened
from tests.support.fakes import eventually
from tests.support.memory.fake_kafka import FakeBroker, FakeSource
from tests.support.memory.fake_sink import FakeSink

#: Partitions of an output topic.
PARTITIONS = 4

#: Bytes of a message that no longer goes through where a limit was set.
LARGE = 3_000

#: Milliseconds since the epoch, in the year 2100.
FAR_AHEAD_MS = 4_102_444_800_000

#: An address at which nobody listens.
NOBODY = "127.0.0.1:1"


class SinkGround(ABC):
    """One input partition, an output and a dead-letter topic, and a sink between them.

    Attributes:
        partition: of the input.
        output, dead: the topics.
        is_atomic: whether messages and offsets become final together, or not at all.
        keeps_offsets: whether the broker keeps the offsets that it is given.
        told: what a commit did, in order: `membership` when it was taken, `offsets` when they were
            handed over. Tests add to it.
    """

    partition: TopicPartition
    output: str
    dead: str
    is_atomic: bool
    keeps_offsets = True

    def __init__(self) -> None:
        self.told: list[str] = []
        self.on_offsets: Callable[[], object] = lambda: None

    @abstractmethod
    def opened(self, client_max_bytes: int | None = None) -> Any:
        """An open sink, as a context that closes it.

        Args:
            client_max_bytes: the largest message that the client takes.
        """

    @abstractmethod
    def unreachable(self) -> Sink:
        """A sink that is not open, and whose brokers do not answer."""

    @abstractmethod
    def records(self) -> list[Record]:
        """What a committed reader finds in the output, by partition, then offset."""

    @abstractmethod
    def await_written(self) -> None:
        """Wait until a message of the open transaction stands in the output; at once where the
        sink is not atomic, or writes at its commit."""

    @abstractmethod
    def await_readers(self) -> None:
        """Wait until no open transaction keeps a committed reader from the end of the output."""

    @abstractmethod
    def committed(self) -> int:
        """The group's offset in the input partition; 0 before the first commit."""

    @abstractmethod
    def refuse(self, code: RejectCode) -> None:
        """Have the output topic refuse messages such as `refusable` gives."""

    @abstractmethod
    def read(self, count: int) -> None:
        """The worker has read so many messages of the input."""

    def message(
        self,
        offset: int,
        value: bytes | None = None,
        *,
        key: bytes | None = b"k",
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Outgoing:
        """The output for an input offset; its value is the offset unless given."""
        text = str(offset).encode() if value is None else value
        position = Position(self.partition, offset)
        return Outgoing(self.output, key, text, headers, timestamp_ms, partition, position)

    def refusable(self, offset: int, code: RejectCode) -> Outgoing:
        """A message that a topic refuses for this reason, once told to `refuse` such."""
        match code:
            case RejectCode.TOO_LARGE:
                return self.message(offset, b"L" * LARGE)
            case RejectCode.TIMESTAMP_REFUSED:
                return self.message(offset, timestamp_ms=FAR_AHEAD_MS)
            case _:
                return self.message(offset, key=None)

    def values(self) -> list[bytes | None]:
        """The values of `records`."""
        return [one.value for one in self.records()]


class FakeGround(SinkGround):
    """The tests' own sink, on a broker in memory."""

    partition = TopicPartition("articles", 0)
    output = "out"
    dead = "dead"
    is_atomic = True

    def __init__(self) -> None:
        super().__init__()
        self._broker = FakeBroker()
        self._limits: Callable[[FakeSink], None] = lambda _: None

    @contextmanager
    def opened(self, client_max_bytes: int | None = None) -> Iterator[Sink]:
        sink = FakeSink(self._broker, _ToldSource(self._broker, self.told))
        sink.partitions[self.output] = PARTITIONS
        if client_max_bytes is not None:
            sink.client_max_bytes[self.output] = client_max_bytes
        self._limits(sink)
        sink.open()
        yield sink
        if not sink.closed:
            sink.close()

    def unreachable(self) -> Sink:
        sink = FakeSink(self._broker)
        sink.open_failure = KafkaProblem("no broker answers")
        return sink

    def records(self) -> list[Record]:
        found: list[Record] = []
        ends: Counter[int] = Counter()
        for one in self._broker.final:
            if one.topic == self.output:
                number = one.partition or 0
                found.append(
                    Record(one.value, one.key, one.headers, one.timestamp_ms, number, ends[number])
                )
                ends[number] += 1
        return sorted(found, key=lambda one: one.partition or 0)

    def await_written(self) -> None:
        """It writes at its commit."""

    def await_readers(self) -> None:
        """A broker in memory shows what is final at once."""

    def committed(self) -> int:
        return self._broker.committed.get(self.partition, 0)

    def refuse(self, code: RejectCode) -> None:
        def limit(sink: FakeSink) -> None:
            match code:
                case RejectCode.TOO_LARGE:
                    sink.broker_max_bytes[self.output] = LARGE - 1
                case RejectCode.TIMESTAMP_REFUSED:
                    sink.latest_timestamp_ms[self.output] = FAR_AHEAD_MS - 1
                case _:
                    sink.compacted.add(self.output)

        self._limits = limit

    def read(self, count: int) -> None:
        self._broker.feed(*(b"article" for _ in range(count)), partition=self.partition)


class _ToldSource(FakeSource):
    """Tells when the membership is taken."""

    def __init__(self, broker: FakeBroker, told: list[str]) -> None:
        super().__init__(broker)
        self._told = told

    def group_metadata(self) -> object:
        self._told.append("membership")
        return object()


class KafkaGround(SinkGround):
    """A sink of the product, on a broker.

    Args:
        ground: the topics.
        is_embedded: whether the broker is the embedded one, which knows no transactions.
        settings: of the worker; names the delivery mode.
    """

    def __init__(self, ground: Ground, is_embedded: bool, **settings: Any) -> None:
        super().__init__()
        self._ground = ground
        self._settings = settings
        self.partition, self.output, self.dead = ground.partition, ground.output, ground.dead
        is_transactional = settings["delivery"] == "exactly_once"
        self.is_atomic = is_transactional and not is_embedded
        self.keeps_offsets = self.is_atomic or not is_transactional

    @contextmanager
    def opened(self, client_max_bytes: int | None = None) -> Iterator[Sink]:
        kafka = {"compression.type": "none"}
        if client_max_bytes is not None:
            kafka["message.max.bytes"] = str(client_max_bytes)
        # So long that no broker ends by itself what a sink has left open.
        asked = self._asked(kafka=kafka, transaction_timeout_ms=600_000)
        with opened(asked) as (sink, source):
            self._tell(source)
            yield sink

    def unreachable(self) -> Sink:
        asked = self._asked(bootstrap_servers=NOBODY)
        return make_sink(asked, KafkaSource(asked))

    def records(self) -> list[Record]:
        return self._ground.records()

    def await_written(self) -> None:
        if self.is_atomic:
            eventually(lambda: self._ground.values("read_uncommitted"), "a message is written")

    def await_readers(self) -> None:
        helpers.settled_ends(self._ground.bootstrap, self.output)

    def committed(self) -> int:
        return self._ground.committed() or 0

    def refuse(self, code: RejectCode) -> None:
        config: Mapping[RejectCode, dict[str, str]] = {
            RejectCode.TOO_LARGE: {"max.message.bytes": str(LARGE - 1)},
            RejectCode.TIMESTAMP_REFUSED: {"message.timestamp.after.max.ms": "3600000"},
            RejectCode.RECORD_REFUSED: {"cleanup.policy": "compact"},
        }
        helpers.alter_topic(self._ground.bootstrap, self.output, config[code])

    def read(self, count: int) -> None:
        """A broker does not look at what was read before offsets are committed."""

    def _asked(self, **more: Any) -> Settings:
        return self._ground.settings(**{**self._settings, **more})

    def _tell(self, source: KafkaSource) -> None:
        """Have it told when a sink takes the membership, or has offsets committed."""
        metadata, commit = source.group_metadata, source.commit

        def told_metadata() -> object:
            self.told.append("membership")
            return metadata()

        def told_commit(asked: list[Any]) -> None:
            self.told.append("offsets")
            self.on_offsets()
            commit(asked)

        source.group_metadata = told_metadata  # type: ignore[method-assign]
        source.commit = told_commit  # type: ignore[method-assign]
