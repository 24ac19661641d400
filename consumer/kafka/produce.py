"""TopicWriter: writes messages to one topic, outside of any transaction."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import TopicMetadata

from consumer.articles import RejectCode
from consumer.errors import KafkaProblem, RejectedMessage, SettingsError
from consumer.settings import Settings

#: How long the brokers may take to answer for the topic; a person waits for it.
READY_TIMEOUT_S = 8.0

#: One question among those.
_LOOK_TIMEOUT_S = 1.0

#: How long a topic may stay unknown; a broker that creates topics needs a moment for it.
UNKNOWN_TOPIC_TIMEOUT_S = 3.0

#: Messages that wait in memory for the broker, in kibibytes; `send` blocks above it.
BUFFER_KIB = 64 * 1024

#: Errors that another look at the topic may find gone.
_MAY_PASS = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
    }
)

# librdkafka writes each failed connection to standard error unless it is given a logger; the
# same reasons come back as errors, which are shown once.
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())
_log.propagate = False


class TopicWriter:
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
        self._servers = settings.bootstrap_servers
        self._acknowledged = 0
        self._failure: KafkaError | None = None
        self._last_error = ""
        try:
            self._producer = Producer(
                {
                    "linger.ms": 20,
                    "queue.buffering.max.kbytes": BUFFER_KIB,
                    "message.timeout.ms": 60_000,
                    **settings.kafka,
                    "bootstrap.servers": settings.bootstrap_servers,
                    "enable.idempotence": True,
                    "acks": "all",
                    "partitioner": "murmur2_random",
                    "error_cb": self._on_error,
                },
                logger=_log,
            )
        except KafkaException as refused:
            reason = refused.args[0].str()
            name = next(
                (f"kafka.{name}" for name in settings.kafka if f'"{name}"' in reason), "kafka"
            )
            raise SettingsError(name, reason, "see the properties of librdkafka") from refused

    @property
    def acknowledged(self) -> int:
        """Messages that all in-sync replicas have."""
        return self._acknowledged

    def open(self) -> None:
        """Wait until the topic can be written to; blocks for up to READY_TIMEOUT_S.

        Raises:
            KafkaProblem: no broker answers, the topic is missing, access is denied.
        """
        started = time.monotonic()
        while True:
            error = self._look(_LOOK_TIMEOUT_S)
            if error is None:
                return
            self._producer.poll(0.2)  # callbacks bring the reason why a broker does not answer
            unknown = error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            patience_s = UNKNOWN_TOPIC_TIMEOUT_S if unknown else READY_TIMEOUT_S
            if error.code() not in _MAY_PASS or time.monotonic() - started > patience_s:
                raise KafkaProblem(self._explained(error))

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
                self._producer.poll(0.1)
                continue
            except KafkaException as refused:
                if refused.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise RejectedMessage(
                        RejectCode.TOO_LARGE,
                        f"the message of {len(value):,} bytes is larger than message.max.bytes;"
                        " raise it with --kafka message.max.bytes=N, and on the topic",
                    ) from refused
                raise KafkaProblem(self._explained(refused.args[0])) from refused
            self._producer.poll(0)
            return

    def wait(self, seconds: float) -> None:
        """Let time pass while acknowledgements come in.

        Raises:
            KafkaProblem: a message was not taken.
        """
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self._producer.poll(left_s)
            self._raise_failure()

    def flush(self) -> None:
        """Block until every message is acknowledged; `message.timeout.ms` bounds the wait.

        Raises:
            KafkaProblem: a message was not taken.
        """
        # In short waits, so that an interrupt from the keyboard is heard.
        while self._producer.flush(0.2):
            self._raise_failure()
        self._raise_failure()

    def close(self) -> None:
        """Let go of what was not sent yet; does nothing after a `flush`."""
        self._producer.purge()
        self._producer.flush(1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _look(self, timeout_s: float) -> KafkaError | None:
        try:
            found: TopicMetadata = self._producer.list_topics(
                self._topic, timeout=timeout_s
            ).topics[self._topic]
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            return error
        return found.error

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._acknowledged += 1
        elif self._failure is None:
            self._failure = error

    def _on_error(self, error: KafkaError) -> None:
        # "All brokers down" only repeats the reason that came before it.
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._last_error:
            self._last_error = error.str().partition(" (after")[0]

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise KafkaProblem(
                f"{self._explained(self._failure)}; {self._acknowledged:,} messages were written"
            )

    def _explained(self, error: KafkaError) -> str:
        match error.code():
            case KafkaError.UNKNOWN_TOPIC_OR_PART | KafkaError._UNKNOWN_TOPIC:
                return f"topic {self._topic} does not exist on {self._servers}; create it first"
            case KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return f"no permission to write to topic {self._topic} on {self._servers}"
            case KafkaError.MSG_SIZE_TOO_LARGE:
                return (
                    f"topic {self._topic} does not take a message of this size;"
                    " raise its max.message.bytes"
                )
            case KafkaError._TRANSPORT | KafkaError._TIMED_OUT | KafkaError._ALL_BROKERS_DOWN:
                reason = f" ({self._last_error})" if self._last_error else ""
                return f"no broker answers at {self._servers}{reason}"
        return f"topic {self._topic}: {error.str()}"
