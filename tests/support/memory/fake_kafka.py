"""One broker in memory, and a source that reads it and holds to its protocol.

The broker checks at every commit that no committed offset passes a message without an outcome
and that no message has two; the source checks that one thread owns it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from consumer.contracts.errors import AbortableError
from consumer.contracts.messages import Headers, Outgoing, RawMessage, TopicPartition
from consumer.contracts.ports import RebalanceListener
from consumer.contracts.runs import RunState
from tests.support.fakes import P0, PATIENCE_S, raw


class FakeBroker:
    """What Kafka holds.

    Attributes:
        inputs: the messages of each input partition, in the order of their offsets.
        ends: end offset of each input partition, transaction markers included.
        held: first offset of a transaction upstream that is open, for partitions that have one.
        committed: the group's offsets.
        final: what a `read_committed` reader of the other topics has seen, in order.
    """

    def __init__(self) -> None:
        self.inputs: dict[TopicPartition, list[RawMessage]] = {}
        self.ends: Counter[TopicPartition] = Counter()
        self.held: dict[TopicPartition, int] = {}
        self.committed: dict[TopicPartition, int] = {}
        self.final: list[Outgoing] = []
        self.changed = threading.Condition()

    def feed(
        self,
        *values: bytes | None,
        partition: TopicPartition = P0,
        key: bytes | None = b"key",
        headers: Headers = (),
    ) -> None:
        """Append messages to an input partition."""
        with self.changed:
            for value in values:
                offset = self.ends[partition]
                message = raw(offset, value, partition=partition, key=key, headers=headers)
                self.inputs.setdefault(partition, []).append(message)
                self.ends[partition] += 1
            self.changed.notify_all()

    def mark(self, partition: TopicPartition = P0) -> None:
        """End a transaction of the producer upstream: one offset that is never delivered."""
        with self.changed:
            self.ends[partition] += 1
            self.changed.notify_all()

    def stable(self, partition: TopicPartition) -> int:
        """The last stable offset: as far as a `read_committed` reader gets."""
        return min(self.ends[partition], self.held.get(partition, self.ends[partition]))

    def commit(self, messages: Sequence[Outgoing], offsets: Mapping[TopicPartition, int]) -> None:
        """Make messages and offsets final, both at once."""
        with self.changed:
            self.final.extend(messages)
            for partition, offset in offsets.items():
                assert offset >= self.committed.get(partition, -1), "a commit went backwards"
                self.committed[partition] = offset
            outcomes = Counter(message.position for message in self.final)
            for partition, offset in self.committed.items():
                for message in self.inputs.get(partition, ()):
                    once = outcomes[message.position] == 1
                    assert once or message.position.offset >= offset, f"{message.position} is lost"
            assert set(outcomes.values()) <= {1}, "an input has two outcomes"
            self.changed.notify_all()

    def outcomes(self, partition: TopicPartition = P0) -> list[int]:
        """Input offsets of this partition, in the order in which their outcomes became final."""
        return [
            message.position.offset
            for message in self.final
            if message.position.topic_partition == partition
        ]

    def values(self, topic: str) -> list[bytes | None]:
        """The final values of a topic, in order."""
        return [message.value for message in self.final if message.topic == topic]


class FakeSource:
    """Reads the broker's inputs; rebalances when told to.

    Attributes:
        why_no_partition: what `obstacle` says.
        failures: raised by `poll`, one a call.
        waits_for: what `troubles` gives.
        ends: of a bounded run: the offset at which each partition ends.
        finished: the partitions whose end was committed, in order.
        polls, serves: calls of `poll` and of `serve`.
    """

    def __init__(self, broker: FakeBroker, partitions: Sequence[TopicPartition] = (P0,)) -> None:
        self._broker = broker
        self._events: deque[tuple[str, tuple[TopicPartition, ...], threading.Event]] = deque()
        self._numbers: dict[TopicPartition, int] = {}
        self._next: dict[TopicPartition, int] = {}
        self._begun: dict[TopicPartition, int] = {}
        self._owner_calls: deque[threading.Event] = deque()
        self._last_number = 0
        self._listener: RebalanceListener | None = None
        self._owner: int | None = None
        self.why_no_partition = ""
        self.failures: deque[Exception] = deque()
        self.waits_for: Sequence[str] = ()
        self.ends: dict[TopicPartition, int] = {}
        self.finished: list[TopicPartition] = []
        self.paused = False
        self.closed = False
        self.polls = 0
        self.serves = 0
        if partitions:
            self.assign(*partitions)

    def assign(self, *partitions: TopicPartition) -> threading.Event:
        """Have these assigned in the next poll; set once that has happened."""
        return self._rebalance("assigned", partitions)

    def give_nothing(self) -> None:
        """Have nothing assigned after all."""
        self._events.clear()

    def revoke(self, *partitions: TopicPartition) -> threading.Event:
        """Have these revoked in the next poll."""
        return self._rebalance("revoked", partitions)

    def lose(self, *partitions: TopicPartition) -> threading.Event:
        """Have these lost in the next poll."""
        return self._rebalance("lost", partitions)

    def open(self, listener: RebalanceListener) -> None:
        self._owner = threading.get_ident()
        self._listener = listener

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        self._check_thread()
        assert max_messages >= 1
        self.polls += 1
        self.serve()
        if self.failures:
            raise self.failures.popleft()
        while self._events:
            self._run(*self._events.popleft())
        with self._broker.changed:
            messages = self._take(max_messages)
            if not messages:
                self._broker.changed.wait(min(timeout_s, 0.01))
                messages = self._take(max_messages)
        return messages

    def obstacle(self) -> str:
        return self.why_no_partition

    def pause(self) -> None:
        self._check_thread()
        self.paused = True

    def resume(self) -> None:
        self._check_thread()
        self.paused = False

    def rewind(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        self._check_thread()
        answer = {}
        for partition, offset in offsets.items():
            if partition in self._numbers:
                answer[partition] = self._number(partition)
                self._next[partition] = offset
        return answer

    def assignments(self) -> Mapping[TopicPartition, int]:
        return dict(self._numbers)

    def serve(self, wait_s: float = 0.0) -> None:
        self._check_thread()
        if not self._owner_calls:
            time.sleep(wait_s)
        self.serves += 1
        while self._owner_calls:
            self._owner_calls.popleft().set()

    def group_metadata(self) -> object:
        served = threading.Event()
        self._owner_calls.append(served)
        deadline = time.monotonic() + PATIENCE_S
        while not served.wait(0.001):
            if self.closed or time.monotonic() > deadline:
                raise AbortableError("the poll thread does not come by")
        return object()

    def end_offsets(self) -> Mapping[TopicPartition, int]:
        return {partition: self._broker.stable(partition) for partition in self._numbers}

    def high_watermarks(self) -> Mapping[TopicPartition, int]:
        return {partition: self._broker.ends[partition] for partition in self._numbers}

    def read_offsets(self) -> Mapping[TopicPartition, int]:
        return dict(self._next)

    def last_stable(self) -> Mapping[TopicPartition, int]:
        return self.end_offsets()

    def group_offsets(self) -> Mapping[TopicPartition, int]:
        return dict(self._begun)

    def run_ends(self) -> Mapping[TopicPartition, int]:
        return {one: self.ends[one] for one in self._numbers if one in self.ends}

    def finish(self, partitions: Sequence[TopicPartition]) -> None:
        self._check_thread()
        for one in partitions:
            self._broker.committed[one] = self.ends[one]
            self.finished.append(one)

    def run_state(self) -> RunState | None:
        if not self.ends:
            return None
        done = sum(min(self._broker.committed.get(one, 0), end) for one, end in self.ends.items())
        total = sum(self.ends.values())
        return RunState(done, total, done == total)

    def troubles(self) -> Sequence[str]:
        return self.waits_for

    def close(self) -> None:
        self._check_thread()
        if self._numbers:
            self._run("revoked", tuple(self._numbers), threading.Event())
        self.closed = True

    def _rebalance(self, kind: str, partitions: Sequence[TopicPartition]) -> threading.Event:
        done = threading.Event()
        self._events.append((kind, tuple(partitions), done))
        return done

    def _run(self, kind: str, partitions: Sequence[TopicPartition], done: threading.Event) -> None:
        assert self._listener is not None
        if kind == "assigned":
            for partition in partitions:
                # The source commits the first position before it delivers anything.
                begun = self._begun[partition] = self._broker.committed.get(partition, 0)
                self._next[partition] = begun
                self._number(partition)
            self._listener.on_assigned(partitions)
        else:
            if kind == "revoked":
                self._listener.on_revoked(partitions)
            for partition in partitions:
                self._numbers.pop(partition)
                self._next.pop(partition)
            if kind == "lost":
                self._listener.on_lost(partitions)
        done.set()

    def _number(self, partition: TopicPartition) -> int:
        self._last_number += 1
        self._numbers[partition] = self._last_number
        return self._last_number

    def _take(self, max_messages: int) -> list[RawMessage]:
        taken: list[RawMessage] = []
        if self.paused:
            return taken
        for partition, number in self._numbers.items():
            end = self._broker.stable(partition)
            log = [
                message
                for message in self._broker.inputs.get(partition, [])
                if message.position.offset < min(end, self.ends.get(partition, end))
            ]
            for message in log:
                if message.position.offset >= self._next[partition] and len(taken) < max_messages:
                    taken.append(message._replace(assignment=number))
                    self._next[partition] = message.position.offset + 1
            if not log or log[-1].position.offset < self._next[partition]:
                last = min(end, self.ends.get(partition, end))
                self._next[partition] = max(self._next[partition], last)
        return taken

    def _check_thread(self) -> None:
        assert self._owner == threading.get_ident(), "only the poll thread may do this"
