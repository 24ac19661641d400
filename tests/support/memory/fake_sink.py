"""A sink that writes to the broker in memory, and checks the order of its calls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import AbortableError, GroupMoved, KafkaProblem, RejectedMessage
from consumer.contracts.headers import with_source
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from tests.support.fakes import PATIENCE_S
from tests.support.memory.fake_kafka import FakeBroker, FakeSource


class FakeSink:
    """Writes to the broker in transactions; asks the source, if any, for the membership.

    Attributes:
        open_gate, commit_gate: while cleared, `open` or `commit` waits, as on a slow broker.
        committing: set once `commit` waits or has begun.
        open_failure: raised by `open`.
        why_not_open: what `obstacle` says.
        begin_failures, send_failures, commit_failures: raised, one a call.
        abort_failure: raised by `abort`.
        client_max_bytes, broker_max_bytes: the largest value by topic that the client takes, or
            that the broker accepts at the commit.
        latest_timestamp_ms: the latest timestamp by topic that the broker accepts.
        compacted: topics that take no message without a key.
        partitions: partitions of each output topic.
        aborted: the messages of each aborted transaction.
    """

    def __init__(self, broker: FakeBroker, source: FakeSource | None = None) -> None:
        self._broker = broker
        self._source = source
        self._state = "new"
        self._sent: list[Outgoing] = []
        self._refused: dict[tuple[str, Position], RejectCode] = {}
        self.latest_timestamp_ms: dict[str, int] = {}
        self.compacted: set[str] = set()
        self.open_gate = threading.Event()
        self.commit_gate = threading.Event()
        self.open_gate.set()
        self.commit_gate.set()
        self.committing = threading.Event()
        self.open_failure: Exception | None = None
        self.why_not_open = ""
        self.begin_failures: deque[Exception] = deque()
        self.send_failures: deque[Exception | None] = deque()
        self.commit_failures: deque[Exception] = deque()
        self.abort_failure: Exception | None = None
        self.client_max_bytes: dict[str, int] = {}
        self.broker_max_bytes: dict[str, int] = {}
        self.partitions: dict[str, int] = {}
        self.aborted: list[list[Outgoing]] = []
        self.sent_count = 0

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._state == "closed"

    def open(self) -> None:
        self._go({"new"}, "idle")
        assert self.open_gate.wait(PATIENCE_S), "the gate stayed shut"
        if self.open_failure is not None:
            raise self.open_failure

    def obstacle(self) -> str:
        return self.why_not_open

    def begin(self) -> None:
        self._go({"idle"}, "open")
        self._fail(self.begin_failures)

    def send(self, message: Outgoing) -> None:
        self._go({"open"}, "open")
        if self.send_failures:
            self._fail(self.send_failures)
        size = len(message.value or b"") + len(message.key or b"")
        if size > self.client_max_bytes.get(message.topic, 1_000_000):
            raise RejectedMessage(
                RejectCode.TOO_LARGE, f"{size} bytes are too large for {message.topic}"
            )
        if message.timestamp_ms == 0:
            raise RejectedMessage(RejectCode.TIMESTAMP_REFUSED, "the client cannot write 0")
        headers = tuple(with_source(message.headers, message.position))
        self._sent.append(message._replace(headers=headers))
        self.sent_count += 1

    def commit(
        self, offsets: Mapping[TopicPartition, int], still_owned: Callable[[], bool]
    ) -> None:
        self._go({"open"}, "open")
        assert offsets, "an empty commit has no meaning"
        self.committing.set()
        assert self.commit_gate.wait(PATIENCE_S), "the gate stayed shut"
        if self._source is not None:
            self._take_membership(self._source)
        self._fail(self.commit_failures)
        for message in self._sent:
            reason = self._refusal(message)
            if reason is not None:
                self._refused[message.topic, message.position] = reason
                self._state = "failed"
        if self._state == "failed":
            raise AbortableError("the broker refused a message")
        if not still_owned():
            self._state = "failed"
            raise GroupMoved("a partition is no longer assigned")
        self._broker.commit(self._sent, offsets)
        self._settle(offsets)
        self._sent = []
        self._state = "idle"

    def abort(self) -> None:
        if self.abort_failure is not None:
            raise self.abort_failure
        self._go({"idle", "open", "failed"}, "idle")
        self._drop()

    def refused(self, topic: str, position: Position) -> RejectCode | None:
        return self._refused.get((topic, position))

    def _refusal(self, message: Outgoing) -> RejectCode | None:
        if len(message.value or b"") > self.broker_max_bytes.get(message.topic, 1_000_000):
            return RejectCode.TOO_LARGE
        latest = self.latest_timestamp_ms.get(message.topic)
        if latest is not None and (message.timestamp_ms or 0) > latest:
            return RejectCode.TIMESTAMP_REFUSED
        if message.topic in self.compacted and message.key is None:
            return RejectCode.RECORD_REFUSED
        return None

    def _settle(self, offsets: Mapping[TopicPartition, int]) -> None:
        """What stands before these offsets does not come by again."""
        self._refused = {
            (topic, position): code
            for (topic, position), code in self._refused.items()
            if position.offset >= offsets.get(position.topic_partition, 0)
        }

    def partition_count(self, topic: str) -> int:
        return self.partitions.get(topic, 1)

    def close(self) -> None:
        assert self._state != "closed", "closed twice"
        self._drop()
        self._state = "closed"

    def _take_membership(self, source: FakeSource) -> None:
        try:
            source.group_metadata()
        except AbortableError:
            self._state = "failed"
            raise

    def _drop(self) -> None:
        if self._sent:
            self.aborted.append(self._sent)
        self._sent = []

    def _fail(self, failures: deque[Exception] | deque[Exception | None]) -> None:
        failure = failures.popleft() if failures else None
        if isinstance(failure, (AbortableError, KafkaProblem)):
            self._state = "failed"
        if failure is not None:
            raise failure

    def _go(self, allowed: set[str], state: str) -> None:
        assert self._state in allowed, f"called in state {self._state}"
        self._state = state
