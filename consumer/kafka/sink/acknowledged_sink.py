"""Offsets after every output is acknowledged: `delivery=at_least_once`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import AbortableError, GroupMoved, KafkaProblem
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from consumer.kafka.errors import PERMANENT, STALE_MEMBER, UNKNOWN_TOPIC, error_of, problem
from consumer.kafka.retry import OutOfTime, again
from consumer.kafka.sink.output import Output
from consumer.kafka.sink.properties import delivery_properties
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings

#: Seconds for the client to let go of what an abort has thrown away.
_PURGE_TIMEOUT_S = 5.0


class AcknowledgedSink:
    """`consumer.contracts.ports.Sink` without transactions; its docstrings are the contract.

    What was sent before an abort may have been written all the same, and is written again after
    the rewind: at least once. `transaction_timeout_ms` bounds the wait for acknowledgements.
    """

    def __init__(self, settings: Settings, source: KafkaSource) -> None:
        self._settings = settings
        self._source = source
        self._timeout_s = settings.transaction_timeout_ms / 1000
        self._output: Output | None = None
        self._open = False
        self._renew = False

    def open(self) -> None:
        self._output = Output(self._settings, delivery_properties(self._settings, ""))
        self._output.start()
        self._output.check_topics()

    def obstacle(self) -> str:
        return ""  # whatever keeps it from opening is raised within seconds

    def begin(self) -> None:
        if self._ready.begin() or self._renew:
            self._ready.start()
            self._renew = False
        self._open = True

    def send(self, message: Outgoing) -> None:
        self._ready.send(message, self._timeout_s)

    def commit(
        self, offsets: Mapping[TopicPartition, int], still_owned: Callable[[], bool]
    ) -> None:
        self._ready.flush(self._timeout_s)
        vouching = self._source.vouch(offsets)
        if not still_owned():
            raise GroupMoved("a partition was revoked before its offsets were committed")
        if offsets:
            vouching.require()
            self._commit(vouching.offsets)
        self._open = False
        self._ready.settle(offsets, self._source.assignments())

    def abort(self) -> None:
        if not self._open:
            return
        self._open = False
        # What is thrown away leaves gaps in the sequence numbers of its producer, and messages
        # that it sends after them have been seen to vanish, acknowledged.
        self._renew = True
        self._ready.purge(_PURGE_TIMEOUT_S)
        fatal = self._ready.watch.fatal
        if fatal is not None:
            raise problem("the producer cannot go on", fatal)

    def refused(self, topic: str, position: Position) -> RejectCode | None:
        return None if self._output is None else self._output.refused(topic, position)

    def partition_count(self, topic: str) -> int:
        return self._ready.partition_count(topic)

    def close(self) -> None:
        if self._output is not None:
            self._output.stop()
            self._output = None
        self._open = False

    @property
    def _ready(self) -> Output:
        if self._output is None:
            raise KafkaProblem("the sink is not open")
        return self._output

    def _commit(self, offsets: list[Any]) -> None:
        doing = "the offsets cannot be committed"
        try:
            again(lambda _: self._source.commit(offsets), self._timeout_s)
        except OutOfTime as late:
            raise AbortableError(f"{doing} within {self._timeout_s:.0f} s: {late}") from late
        except KafkaException as failed:
            error = error_of(failed)
            if error.code() in STALE_MEMBER:
                raise GroupMoved(f"{doing}: {error.str().strip()}") from failed
            # A topic that is gone is waited for; the source says so.
            if not (error.fatal() or error.code() in PERMANENT - UNKNOWN_TOPIC):
                raise AbortableError(f"{doing}: {error.str().strip()}") from failed
            raise problem(doing, error) from failed
