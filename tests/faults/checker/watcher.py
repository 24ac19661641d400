"""A `read_committed` reader that looks on while the faults happen."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from consumer.contracts.messages import TopicPartition as Partition
from tests.faults.feeding import inputs
from tests.faults.feeding.feed import Feed
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record

#: Seconds between two looks at the committed offsets.
_SAMPLE_S = 0.25

#: Seconds for one answer; the next sample is as good.
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """An outcome as the reader saw it.

    Attributes:
        number: of the input that it answers.
        arrived_at: by `time.monotonic`.
    """

    topic: str
    record: Record
    number: int
    arrived_at: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The group's committed offsets, and right after it the ends of the two output topics.

    The ends are those of the log itself, open transactions included: what a committed offset
    answers for must stand before them.
    """

    committed: dict[Partition, int]
    ends: dict[str, dict[int, int]] = field(default_factory=dict)


class Watcher:
    """Reads both output topics and samples the committed offsets, on two threads.

    Args:
        group: the workers'.
        feed, topics: what they read, and the output and the dead-letter topic.
    """

    def __init__(self, bootstrap: str, group: str, feed: Feed, topics: tuple[str, str]) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._feed = feed
        self._topics = topics
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, name="watcher", daemon=True),
            threading.Thread(target=self._sample, name="sampler", daemon=True),
        ]
        self.failure: BaseException | None = None
        self.seen: list[Seen] = []
        self.samples: list[Sample] = []
        #: Numbers that have an outcome, however many.
        self.numbers: set[int] = set()
        #: For each input partition the highest number that has an outcome.
        self.newest: dict[Partition, int] = {}

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads; raises what one of them raised."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        if self.failure is not None:
            raise self.failure

    def _read(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": f"{self._group}-watcher",
                "log_level": 0,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "fetch.message.max.bytes": 16 * 1024 * 1024,
                "reconnect.backoff.max.ms": 500,
            }
        )
        consumer.assign(
            [
                TopicPartition(topic, part, OFFSET_BEGINNING)
                for topic in self._topics
                for part in range(self._feed.output_partitions)
            ]
        )
        try:
            while not self._stop.is_set():
                for message in consumer.consume(500, 0.02):
                    if message.error() is None:
                        topic = message.topic()
                        assert topic is not None
                        self._note(topic, helpers.record_of(message))
        except BaseException as failure:
            self.failure = failure
        finally:
            consumer.close()

    def _note(self, topic: str, record: Record) -> None:
        number = int(dict(record.headers)[inputs.NUMBER] or b"-1")
        self.seen.append(Seen(topic, record, number, time.monotonic()))
        self.numbers.add(number)
        part = self._feed.place(number)
        self.newest[part] = max(number, self.newest.get(part, -1))

    def _sample(self) -> None:
        reader = helpers.group_reader(self._bootstrap, self._group)
        plain = helpers.group_reader(self._bootstrap, f"{self._group}-ends", "read_uncommitted")
        parts = range(self._feed.output_partitions)
        try:
            while not self._stop.wait(_SAMPLE_S):
                # A broker that is away, or offsets that wait for a transaction, give no sample.
                with contextlib.suppress(KafkaException):
                    committed = {
                        Partition(topic, part): offset
                        for topic, count in self._feed.topics.items()
                        for part, offset in helpers.committed_by(
                            reader, topic, range(count), _PATIENCE_S
                        ).items()
                    }
                    ends = {
                        topic: {part: _end(plain, topic, part) for part in parts}
                        for topic in self._topics
                    }
                    self.samples.append(Sample(committed, ends))
        except BaseException as failure:
            self.failure = failure
        finally:
            reader.close()
            plain.close()


def _end(reader: Consumer, topic: str, partition: int) -> int:
    _, end = reader.get_watermark_offsets(TopicPartition(topic, partition), _PATIENCE_S)
    return int(end)
