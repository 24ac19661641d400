"""Deliberate defects of a worker. Each must turn the checker red."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from consumer.contracts.messages import (
    PreparedArticle,
    RawMessage,
    Rejected,
    TaggingResult,
    TopicPartition,
)
from consumer.contracts.ports import RebalanceListener
from consumer.contracts.traces import UnitTrace
from consumer.kafka.sink.acknowledged_sink import AcknowledgedSink
from consumer.kafka.sink.transactional_sink import TransactionalSink
from consumer.kafka.source.owner_calls import OwnerCalls
from consumer.kafka.source.rebalance import client_offsets, client_partitions
from consumer.kafka.source.source import KafkaSource
from consumer.pipeline.bookkeeping.offsets import OffsetTracker
from consumer.pipeline.dispatch import Dispatcher
from consumer.pipeline.publish import PublishStage
from tests.faults.workers.light_tagger import LightTagger


def commit_before_produce() -> None:
    """Offsets are committed when messages are read, as a client with auto-commit does."""
    _slow_tagger()
    plain = KafkaSource.poll

    def poll(self: KafkaSource, max_messages: int, timeout_s: float) -> list[RawMessage]:
        messages = plain(self, max_messages, timeout_s)
        if messages:
            offsets = {one.position.topic_partition: one.position.offset + 1 for one in messages}
            self.commit(client_offsets(offsets))
        return messages

    KafkaSource.poll = poll  # type: ignore[method-assign]


def drop_rejected() -> None:
    """A message that cannot be processed is passed over."""
    plain = Dispatcher.send

    def send(self: Dispatcher, outcome: Any) -> Any:
        return outcome if isinstance(outcome, Rejected) else plain(self, outcome)

    Dispatcher.send = send  # type: ignore[method-assign]


def skip_abort() -> None:
    """After a failure the worker goes on without reading the inputs again."""

    def abort(self: PublishStage, reason: Exception, trace: UnitTrace | None = None) -> None:
        del reason, trace
        transaction, self._transaction = self._transaction, None
        self._sink.abort()
        self._tracker.committed()
        if transaction is not None:
            self._in_flight.remove(transaction.messages, transaction.size_bytes)

    PublishStage._abort = abort  # type: ignore[method-assign]


def _slow_tagger() -> None:
    """A model takes its time, and while it does a worker has read more than it has resolved."""
    plain = LightTagger.tag

    def tag(
        self: LightTagger, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> TaggingResult:
        time.sleep(0.05)
        return plain(self, articles, progress)

    LightTagger.tag = tag  # type: ignore[method-assign]


def offsets_from_position() -> None:
    """Offsets are the client's position, which runs ahead of what is resolved."""
    _slow_tagger()
    plain = OffsetTracker.pending
    sources: list[KafkaSource] = []
    opened = KafkaSource.open

    def open_(self: KafkaSource, listener: RebalanceListener) -> None:
        sources.append(self)
        opened(self, listener)

    def pending(self: OffsetTracker) -> dict[TopicPartition, int]:
        offsets = dict(plain(self))
        source = sources[-1]
        owner_calls: OwnerCalls = source._owner_calls
        asked = client_partitions(list(offsets))
        if asked:
            for answer, one in zip(
                owner_calls.run(lambda: source._joined.consumer.position(asked)),
                list(offsets),
                strict=True,
            ):
                offsets[one] = max(answer.offset, offsets[one])
        return offsets

    KafkaSource.open = open_  # type: ignore[method-assign]
    OffsetTracker.pending = pending  # type: ignore[method-assign]


def break_order() -> None:
    """Messages leave one place later than they should, now and then."""
    for sink in (TransactionalSink, AcknowledgedSink):
        _break_order_of(sink)


def _break_order_of(sink: Any) -> None:
    plain_send, plain_commit = sink.send, sink.commit
    held: list[Any] = []
    count = 0

    def send(self: Any, message: Any) -> None:
        nonlocal count
        count += 1
        if count % 200 == 0:
            held.append(message)
            return
        plain_send(self, message)

    def commit(self: Any, *arguments: Any) -> None:
        while held:
            plain_send(self, held.pop())
        plain_commit(self, *arguments)

    sink.send, sink.commit = send, commit


def send_twice() -> None:
    """A message is written, and written again."""
    for sink in (TransactionalSink, AcknowledgedSink):
        _send_twice_by(sink)


def _send_twice_by(sink: Any) -> None:
    plain = sink.send
    count = 0

    def send(self: Any, message: Any) -> None:
        nonlocal count
        count += 1
        plain(self, message)
        if count % 500 == 0:
            plain(self, message)

    sink.send = send


#: By the name that the environment gives.
SABOTAGES: Mapping[str, Callable[[], None]] = {
    "commit_before_produce": commit_before_produce,
    "drop_rejected": drop_rejected,
    "skip_abort": skip_abort,
    "offsets_from_position": offsets_from_position,
    "break_order": break_order,
    "send_twice": send_twice,
}
