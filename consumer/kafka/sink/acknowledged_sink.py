"""Offsets after every output is acknowledged: `delivery=at_least_once`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException

from consumer.contracts.errors import AbortableError, GroupMoved
from consumer.contracts.messages import TopicPartition
from consumer.kafka.errors import OUT_OF_SEQUENCE, STALE_MEMBER, error_of, judged, problem
from consumer.kafka.retry import OutOfTime, again
from consumer.kafka.sink.kafka_sink import KafkaSink
from consumer.kafka.sink.output import Output
from consumer.kafka.sink.properties import delivery_properties
from consumer.kafka.source.topics.vouching import Vouching

#: Seconds for the client to report what an abort has thrown away.
_PURGE_TIMEOUT_S = 5.0


class AcknowledgedSink(KafkaSink):
    """A sink without transactions.

    What was sent before an abort may have been written all the same, and is written again after
    the rewind: at least once. `transaction_timeout_ms` bounds the wait for acknowledgements.
    """

    def _make_output(self) -> Output:
        return Output(self._settings, delivery_properties(self._settings, ""))

    def _make_ready_again(self) -> None:
        pass  # a producer without transactions is ready at once

    def _begin(self) -> None:
        pass

    def _membership(self) -> None:
        return None  # the consumer commits, and names its own generation

    def _commit(self, offsets: Mapping[TopicPartition, int], vouching: Vouching, _: None) -> None:
        if offsets:
            vouching.require()
            self._commit_offsets(vouching.offsets)

    def _abort(self) -> None:
        self._ready.purge(_PURGE_TIMEOUT_S)
        fatal = self._ready.watch.fatal
        # A new producer takes over in any case.
        if fatal is not None and fatal.code() not in OUT_OF_SEQUENCE:
            raise problem("the producer cannot go on", fatal)

    def _commit_offsets(self, offsets: list[Any]) -> None:
        doing = "the offsets cannot be committed"
        try:
            again(lambda _: self._source.commit(offsets), self._timeout_s)
        except OutOfTime as late:
            raise AbortableError(f"{doing} within {self._timeout_s:.0f} s: {late}") from late
        except KafkaException as failed:
            error = error_of(failed)
            if error.code() in STALE_MEMBER:
                raise GroupMoved(f"{doing}: {error.str().strip()}") from failed
            raise judged(doing, error) from failed
