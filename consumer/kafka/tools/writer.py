"""TopicWriter: writes messages to one topic, outside of any transaction."""

from __future__ import annotations

import contextlib
import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.kafka.client import ClientWatch, await_topics, make_client
from consumer.kafka.closing import Closing
from consumer.kafka.errors import error_of, problem, raised_by
from consumer.settings.schema import Settings

#: Messages that wait in memory for the broker, in kibibytes; `send` blocks above it.
BUFFER_KIB = 64 * 1024

#: How long a message may wait for its acknowledgement, in milliseconds; a person waits for it.
ACKNOWLEDGE_TIMEOUT_MS = 60_000

#: Longest sleep between two looks at acknowledgements, in seconds.
_SLICE_S = 0.01


class TopicWriter(Closing):
    """Writes to one topic, in order, each message once as long as the process lives.

    Keys are partitioned as the Java client does (`murmur2_random`). Not safe for use from more
    than one thread.

    Args:
        settings: how to reach the brokers (`bootstrap_servers`, `kafka`).
        topic: it must exist, or the broker must create topics.

    Raises:
        SettingsError: a librdkafka property is wrong.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        self._settings = settings
        self._acknowledged = 0
        self._failure: KafkaError | None = None
        self._watch = ClientWatch()
        self._producer: Producer = make_client(
            Producer,
            settings,
            self._watch,
            defaults={
                "linger.ms": 20,
                "queue.buffering.max.kbytes": BUFFER_KIB,
                "message.timeout.ms": ACKNOWLEDGE_TIMEOUT_MS,
            },
            required={
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
            },
        )

    @property
    def acknowledged(self) -> int:
        """Messages that all in-sync replicas have."""
        return self._acknowledged

    def open(self) -> None:
        """Wait until the topic can be written to; blocks for some ten seconds at most.

        Raises:
            KafkaProblem: no broker answers, the topic is missing, access is denied.
        """
        await_topics(self._producer, self._watch, self._settings, {self._topic: "--topic"})

    def send(self, value: bytes, key: bytes | None) -> None:
        """Queue one message; blocks while the buffer is full.

        Raises:
            RejectedMessage: code `too_large`; the client will not take a message of this size.
            KafkaProblem: an earlier message was not taken.
        """
        while True:
            self._raise_failure()
            try:
                self._producer.produce(self._topic, value, key, on_delivery=self._on_delivery)
            except BufferError:
                self._rest()
                continue
            except KafkaException as refused:
                if error_of(refused).code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise RejectedMessage(
                        RejectCode.TOO_LARGE,
                        f"the message of {len(value):,} bytes is larger than message.max.bytes;"
                        " raise it with --kafka message.max.bytes=N, and on the topic",
                    ) from refused
                # Of a fatal error it says only that there was one; the callbacks say which.
                self._serve()
                self._raise_failure()
                raise problem(self._doing(), error_of(refused)) from refused
            self._serve()
            return

    def wait(self, seconds: float) -> None:
        """Let time pass while acknowledgements come in.

        Raises:
            KafkaProblem: a message was not taken.
        """
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self._rest(min(left_s, _SLICE_S))
            self._raise_failure()

    def flush(self) -> None:
        """Block until every message is acknowledged; `message.timeout.ms` bounds the wait.

        Raises:
            KafkaProblem: a message was not taken.
        """
        while len(self._producer):
            self._raise_failure()
            self._rest()
        self._raise_failure()

    def close(self) -> None:
        """Let go of what was not sent yet; does nothing after a `flush`."""
        self._producer.purge()
        with contextlib.suppress(KafkaException, SystemError):
            self._producer.flush(1.0)

    def _rest(self, seconds: float = _SLICE_S) -> None:
        """Sleep, then take the acknowledgements that have come.

        Not asleep within the client: an interrupt from the keyboard that comes there is lost, or
        becomes a SystemError (confluent-kafka 2.16).
        """
        time.sleep(seconds)
        self._serve()

    def _serve(self) -> None:
        """Take the acknowledgements that have come. A fatal error comes once, as an exception."""
        try:
            self._producer.poll(0)
        except (KafkaException, SystemError) as failed:
            raise problem(self._doing(), error_of(raised_by(failed))) from failed

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._acknowledged += 1
        elif self._failure is None:
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is None:
            return
        # A message that timed out says nothing of why; the connection's last error does.
        silent = self._failure.code() == KafkaError._MSG_TIMED_OUT
        raise problem(self._doing(), (self._watch.last if silent else None) or self._failure)

    def _doing(self) -> str:
        return f"topic {self._topic} takes no more after {self._acknowledged:,} messages"
