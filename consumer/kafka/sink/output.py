"""Output: the producer that both sinks write with, and what became of each message."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import AbortableError, KafkaProblem, RejectedMessage
from consumer.contracts.messages import Outgoing, TopicPartition
from consumer.contracts.ports import TAKEN_FOR_NOW_MS
from consumer.kafka.client import ASKING_PROPERTIES, ClientWatch, await_topics, make_client
from consumer.kafka.errors import FENCED, error_of, fenced, judged, raised_by
from consumer.kafka.messages import NO_TIMESTAMP
from consumer.kafka.security.access import require_topics
from consumer.kafka.sink.deliveries import REASONS, Deliveries, Refusals
from consumer.kafka.sink.partition_counts import PartitionCounts
from consumer.kafka.sink.properties import DEFAULTS, REQUIRED
from consumer.settings.schema import Settings

#: Seconds between two looks at what has failed while something is waited for.
_LOOK_S = 0.5

#: Messages that are queued between two looks at what has failed. A look releases the interpreter's
#: lock, and taking it again costs more than a message.
_SERVE_MESSAGES = 512

#: The partition to give the client where the message's key decides.
_BY_KEY = -1

_log = logging.getLogger(__name__)


class Output:
    """One producer after another, under the same properties; owned by the publish thread.

    Args:
        settings: the brokers, the topics, the properties that a person passes through.
        properties: those of the delivery mode, such as `transactional.id`.
        outlived: whether the open transaction is older than its timeout.
    """

    def __init__(
        self,
        settings: Settings,
        properties: Mapping[str, Any],
        outlived: Callable[[], bool] = lambda: False,
    ) -> None:
        self._outlived = outlived
        self.watch = ClientWatch()
        self._settings = settings
        self._properties = properties
        self._producer: Any = None
        self._alone = False
        #: Whether the producer is in a call that does not return. It is then asked for nothing
        #: more, not even to end, since that would wait for the call.
        self.lost = False
        self._unserved = 0
        self._deliveries = Deliveries()
        #: What the broker refuses for what it is.
        self.refusals = Refusals()
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
        self._alone = self.refusals.suspects
        self.watch = ClientWatch()
        required = {**self._properties, **REQUIRED}
        if self._alone:
            _log.warning(
                "a batch of messages was refused; each is sent by itself until it is known which"
            )
            required["batch.num.messages"] = 1
        self._producer = make_client(Producer, self._settings, self.watch, DEFAULTS, required)

    def check_topics(self) -> None:
        """Raise KafkaProblem unless the brokers answer and both topics may be written."""
        topics = {
            self._settings.output_topic: "output_topic",
            self._settings.dead_letter_topic: "dead_letter_topic",
        }
        await_topics(self.producer, self.watch, self._settings, topics)
        client: AdminClient = make_client(
            AdminClient, self._settings, ClientWatch(), ASKING_PROPERTIES, {}
        )
        require_topics(client, self._settings, topics)

    def begin(self) -> bool:
        """Forget what became of earlier messages. Returns whether a new producer is due."""
        self._deliveries = Deliveries()
        return self._alone != self.refusals.suspects

    def send(
        self,
        message: Outgoing,
        timeout_s: float,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> None:
        """Queue one message; while the buffer is full, wait for the broker to take some.

        Args:
            headers: sent instead of the message's own; the client copies them. If they were kept
                with the message until it is delivered, they would take twice the memory.

        Raises:
            RejectedMessage: code `too_large`, by the client's own limit; `timestamp_refused`.
            AbortableError, KafkaProblem: an earlier message failed, or the buffer stays full.
        """
        deadline: float | None = None
        topic, key, value, own_headers, timestamp_ms, partition, _ = message
        if headers is None:
            headers = list(own_headers)
        if timestamp_ms == TAKEN_FOR_NOW_MS:
            raise RejectedMessage(
                RejectCode.TIMESTAMP_REFUSED,
                "the timestamp of the message is 0, which the client cannot write; let its "
                "producer set one",
            )
        delivered = partial(self._delivered, self._deliveries, message)
        # There is one of these a message, so that each step through a property counts.
        producer = self._producer
        if producer is None:
            producer = self.producer  # which says so
        while True:
            if not self._unserved:
                # What has failed is heard of where callbacks run, and not between two messages.
                self.raise_failure()
                self._raise_if_stranded()
            try:
                producer.produce(
                    topic,
                    value,
                    key,
                    _BY_KEY if partition is None else partition,
                    on_delivery=delivered,
                    timestamp=NO_TIMESTAMP if timestamp_ms is None else timestamp_ms,
                    headers=headers or None,
                )
            except BufferError:
                now = time.monotonic()
                deadline = now + timeout_s if deadline is None else deadline
                if now > deadline:
                    raise AbortableError(
                        f"the buffer of the producer stayed full for {timeout_s:.0f} s"
                    ) from None
                self.serve(_LOOK_S)
            except KafkaException as refused:
                raise self._refusal(message, error_of(refused)) from refused
            else:
                self._unserved += 1
                if self._unserved >= _SERVE_MESSAGES:
                    self.serve()
                return

    def flush(self, timeout_s: float, doomed: Callable[[], str] = lambda: "") -> None:
        """Wait until the broker has acknowledged everything that was sent.

        Args:
            doomed: asked at times why it would all be for nothing; empty where it would not.

        Raises:
            AbortableError, KafkaProblem: a message failed, or not all are acknowledged in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = deadline - time.monotonic()
            waiting = self._flushed(max(min(left_s, _LOOK_S), 0.0))
            self.raise_failure()
            if waiting == 0:
                return
            self._raise_if_stranded()
            if why := doomed():
                raise AbortableError(why)
            if left_s <= 0:
                raise AbortableError(
                    f"{waiting} messages were not acknowledged in {timeout_s:.0f} s"
                    + (f" ({self.watch.last.str()})" if self.watch.last else "")
                )

    @property
    def failure_code(self) -> int | None:
        """Kafka's code of what `raise_failure` would raise for; None where nothing has failed."""
        if self.watch.fatal is not None:
            return int(self.watch.fatal.code())
        failure = self._deliveries.failure
        return None if failure is None else int(failure[1].code())

    def raise_failure(self) -> None:
        """Raise what the first failed message since `begin` means, if one has failed."""
        if self.watch.fatal is not None:
            raise self.judge("the output topics cannot be written", self.watch.fatal)
        if self._deliveries.failure is not None:
            topic, error = self._deliveries.failure
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                raise AbortableError(f"a message is too large for the topic {topic}")
            raise self._unwritable(topic, error)

    def _raise_if_stranded(self) -> None:
        """Raise AbortableError: after the abort a new producer finds the brokers again."""
        if self.watch.is_stranded:
            raise AbortableError("the producer has forgotten all brokers")

    def judge(self, doing: str, error: KafkaError) -> AbortableError | KafkaProblem:
        """The error to raise for a message that failed; AbortableError where reading again may
        help."""
        if error.fatal() and error.code() in FENCED and "transactional.id" in self._properties:
            if self._outlived():
                return AbortableError(
                    f"{doing}: the transaction was open for longer than transaction_timeout_ms, "
                    "so the brokers have ended it"
                )
            return fenced(self._properties["transactional.id"], error)
        return judged(doing, error)

    def settle(
        self, offsets: Mapping[TopicPartition, int], assigned: Collection[TopicPartition]
    ) -> None:
        """As `Refusals.settle`."""
        self.refusals.settle(offsets, assigned)

    def partition_count(self, topic: str) -> int:
        """As `PartitionCounts.of`."""
        return self._partition_counts.of(self.producer, topic)

    def purge(self, timeout_s: float) -> None:
        """Drop what has not been sent and what is not acknowledged; it may still be written."""
        self.producer.purge()
        deadline = time.monotonic() + timeout_s
        while self._flushed(_LOOK_S) and time.monotonic() < deadline:
            pass

    def stop(self) -> None:
        """Release the producer, and throw away what it still holds."""
        producer, self._producer = self._producer, None
        if producer is not None and not self.lost:
            producer.purge()
        self.lost = False

    def serve(self, timeout_s: float = 0.0) -> None:
        """Run the callbacks that are due; wait up to `timeout_s` for one."""
        self._unserved = 0
        self.watch.renew(self.producer)
        try:
            self.producer.poll(timeout_s)
        except (KafkaException, SystemError) as failed:
            self._keep_fatal(raised_by(failed))

    def _flushed(self, timeout_s: float) -> int:
        """Wait for acknowledgements. Returns how many are still due."""
        self._unserved = 0
        self.watch.renew(self.producer)
        try:
            waiting: int = self.producer.flush(timeout_s)
        except (KafkaException, SystemError) as failed:
            self._keep_fatal(raised_by(failed))
            return len(self.producer)
        return waiting

    def _keep_fatal(self, failed: KafkaException) -> None:
        """Store a fatal error: it comes once, as an exception of whatever call serves callbacks."""
        error = error_of(failed)
        if not error.fatal():
            raise failed
        self.watch.fatal = error

    def _refusal(self, message: Outgoing, error: KafkaError) -> Exception:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            size = len(message.value or b"") + len(message.key or b"")
            return RejectedMessage(
                RejectCode.TOO_LARGE,
                f"the message for {message.topic} has {size} bytes, more than the producer takes; "
                "raise kafka.message.max.bytes, or send a shorter article",
            )
        self.serve()
        if self.watch.fatal is not None:
            error = self.watch.fatal
        # Without a fatal error this is a transaction that has failed already; the abort shows.
        return self._unwritable(message.topic, error)

    def _unwritable(self, topic: str, error: KafkaError) -> Exception:
        if error.code() == KafkaError._UNKNOWN_PARTITION:
            # It may have been made again with fewer; what follows the abort is spread over those.
            self._partition_counts.forget(topic)
        return self.judge(f"the topic {topic} cannot be written", error)

    def _delivered(
        self, deliveries: Deliveries, message: Outgoing, error: KafkaError | None, _: object
    ) -> None:
        if error is not None:
            reason = REASONS.get(error.code())
            if reason is not None:
                self.refusals.refuse(message, reason, self._alone)
            deliveries.failed(message, error)
