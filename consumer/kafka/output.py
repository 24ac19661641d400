"""The producer that both sinks write with, and what becomes of each message."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from consumer.articles import Outgoing, Position, RejectCode, TopicPartition
from consumer.errors import AbortableError, KafkaProblem, RejectedMessage
from consumer.kafka.clients import ErrorWatch, await_topics, make_client
from consumer.kafka.partition_counts import PartitionCounts
from consumer.kafka.problems import FENCED, PERMANENT, error_of, fenced, problem
from consumer.settings import Settings

#: Bytes of one message that the client takes; the topic's own limit decides long before.
_MESSAGE_MAX_BYTES = 100 * 1024 * 1024

#: Seconds between two looks at what has failed while something is waited for.
_LOOK_S = 0.5

#: What `settings.kafka` may change. The buffer holds far more than `in_flight_bytes` lets in.
_DEFAULTS: Mapping[str, Any] = {
    "compression.type": "lz4",
    "linger.ms": 5,
    "message.max.bytes": _MESSAGE_MAX_BYTES,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
}

_REQUIRED: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
}


class _Deliveries:
    """What the broker said of the messages since one `begin`; late words go to the old one."""

    def __init__(self) -> None:
        self.failure: tuple[str, KafkaError] | None = None


class Output:
    """One producer after another, under the same properties; owned by the publish thread.

    A batch on the wire is refused as a whole when it exceeds the topic's `max.message.bytes`,
    the small messages in it too. So the messages of a refused batch are only *suspects*: until
    each is settled the producer sends every message on its own, and what is refused then is
    too large by itself.

    Args:
        settings: the brokers, the topics, the properties that a person passes through.
        properties: those of the delivery mode, such as `transactional.id`.
    """

    def __init__(self, settings: Settings, properties: Mapping[str, Any]) -> None:
        self.watch = ErrorWatch()
        self._settings = settings
        self._properties = properties
        self._producer: Any = None
        self._alone = False
        self._deliveries = _Deliveries()
        self._suspects: set[Position] = set()
        self._oversized: set[tuple[str, Position]] = set()
        self._partition_counts = PartitionCounts()

    @property
    def producer(self) -> Any:
        """The current producer.

        Raises:
            KafkaProblem: there is none.
        """
        if self._producer is None:
            raise KafkaProblem("the producer is closed")
        return self._producer

    def start(self) -> None:
        """Replace the producer by a new one.

        Raises:
            SettingsError: a property is wrong.
        """
        self.stop()
        self._alone = bool(self._suspects)
        self.watch = ErrorWatch()
        required = {**self._properties, **_REQUIRED}
        if self._alone:
            required["batch.num.messages"] = 1
        self._producer = make_client(Producer, self._settings, self.watch, _DEFAULTS, required)

    def check_topics(self) -> None:
        """Raise KafkaProblem unless the brokers answer and both topics exist."""
        topics = {
            self._settings.output_topic: "output_topic",
            self._settings.dead_letter_topic: "dead_letter_topic",
        }
        await_topics(self.producer, self.watch, self._settings, topics)

    def begin(self) -> bool:
        """Forget what became of earlier messages; says whether a new producer is due."""
        self._deliveries = _Deliveries()
        return self._alone != bool(self._suspects)

    def send(self, message: Outgoing, timeout_s: float) -> None:
        """Queue one message; while the buffer is full, wait for the broker to take some.

        Raises:
            RejectedMessage: code `too_large`, by the client's own limit.
            AbortableError, KafkaProblem: an earlier message failed, or the buffer stays full.
        """
        deadline = time.monotonic() + timeout_s
        extra: dict[str, int] = {}
        if message.timestamp_ms is not None:
            extra["timestamp"] = message.timestamp_ms
        if message.partition is not None:
            extra["partition"] = message.partition
        delivered = partial(self._delivered, self._deliveries, message)
        while True:
            self.raise_failure()
            try:
                self.producer.produce(
                    message.topic,
                    message.value,
                    message.key,
                    headers=list(message.headers),
                    on_delivery=delivered,
                    **extra,
                )
            except BufferError:
                if time.monotonic() > deadline:
                    raise AbortableError(
                        f"the buffer of the producer stayed full for {timeout_s:.0f} s"
                    ) from None
                self._producer.poll(_LOOK_S)
            except KafkaException as refused:
                raise self._refusal(message, error_of(refused)) from refused
            else:
                self._producer.poll(0)
                return

    def flush(self, timeout_s: float) -> None:
        """Wait until the broker has acknowledged everything that was sent.

        Raises:
            AbortableError, KafkaProblem: a message failed, or not all are acknowledged in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = deadline - time.monotonic()
            waiting = self.producer.flush(max(min(left_s, _LOOK_S), 0.0))
            self.raise_failure()
            if waiting == 0:
                return
            if left_s <= 0:
                raise AbortableError(
                    f"{waiting} messages were not acknowledged in {timeout_s:.0f} s"
                    + (f" ({self.watch.last.str()})" if self.watch.last else "")
                )

    def raise_failure(self) -> None:
        """Raise what the first failed message since `begin` means, if one has failed."""
        if self.watch.fatal is not None:
            raise self.judge("the output topics cannot be written", self.watch.fatal)
        if self._deliveries.failure is not None:
            topic, error = self._deliveries.failure
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                raise AbortableError(f"a message is too large for the topic {topic}")
            raise self.judge(f"the topic {topic} cannot be written", error)

    def judge(self, doing: str, error: KafkaError) -> KafkaProblem:
        """The error to raise for a message that failed: AbortableError where a replay may help."""
        if error.fatal() and error.code() in FENCED and "transactional.id" in self._properties:
            return fenced(self._properties["transactional.id"], error)
        if error.fatal() or error.code() in PERMANENT:
            return problem(doing, error)
        return AbortableError(f"{doing}: {error.str().strip()}")

    def settle(
        self, offsets: Mapping[TopicPartition, int], assigned: Collection[TopicPartition]
    ) -> None:
        """These offsets are committed: suspects before them, or of lost partitions, are settled."""
        self._suspects = {
            one
            for one in self._suspects
            if one.topic_partition in assigned and one.offset >= offsets.get(one.topic_partition, 0)
        }

    def refused(self, topic: str, position: Position) -> bool:
        """Whether this input's message to this topic was refused for its own size."""
        return (topic, position) in self._oversized

    def partition_count(self, topic: str) -> int:
        """As `PartitionCounts.of`."""
        return self._partition_counts.of(self.producer, topic)

    def purge(self, timeout_s: float) -> None:
        """Drop what has not been sent and what is not acknowledged; it may still be written."""
        self.producer.purge()
        deadline = time.monotonic() + timeout_s
        while self.producer.flush(_LOOK_S) and time.monotonic() < deadline:
            pass

    def stop(self) -> None:
        """Let the producer go, with whatever it still holds."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            # Serves the callbacks of what was purged; nothing is left to wait for.
            producer.poll(0)

    def _refusal(self, message: Outgoing, error: KafkaError) -> Exception:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            size = len(message.value or b"") + len(message.key or b"")
            return RejectedMessage(
                RejectCode.TOO_LARGE,
                f"the message for {message.topic} has {size} bytes, more than the producer takes; "
                "raise kafka.message.max.bytes, or send a shorter article",
            )
        self.producer.poll(0)
        if self.watch.fatal is not None:
            error = self.watch.fatal
        # Without a fatal error this is a transaction that has failed already; the abort shows.
        return self.judge(f"the topic {message.topic} cannot be written", error)

    def _delivered(
        self, deliveries: _Deliveries, message: Outgoing, error: KafkaError | None, _: object
    ) -> None:
        if error is None:
            return
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            if self._alone:
                self._suspects.discard(message.position)
                self._oversized.add((message.topic, message.position))
            else:
                self._suspects.add(message.position)
        if deliveries.failure is None and error.code() not in _PURGED:
            deliveries.failure = (message.topic, error)


#: What a message says that was thrown away on purpose.
_PURGED = frozenset({KafkaError._PURGE_INFLIGHT, KafkaError._PURGE_QUEUE})
