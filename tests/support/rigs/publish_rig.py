"""A publish stage for the tests, on a broker in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.messages import Outcome, Rejected, TaggedBatch, TopicPartition
from consumer.pipeline.bookkeeping.commit_policy import CommitPolicy
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.offsets import Rewind
from consumer.pipeline.bookkeeping.ownership import Ownership
from consumer.pipeline.channel import Channel
from consumer.pipeline.dead_letters import DeadLetterLimit
from consumer.pipeline.dispatch import Dispatcher, Route
from consumer.pipeline.inbox import Assigned, PublishMessage
from consumer.pipeline.publish import PublishStage
from tests.support.fakes import (
    PATIENCE_S,
    FakeCodec,
    ManualClock,
    eventually,
    raw,
)
from tests.support.memory.fake_kafka import FakeBroker
from tests.support.memory.fake_observer import FakeObserver
from tests.support.memory.fake_sink import FakeSink

#: Longer than any test: only the manual clock can bring this about.
INTERVAL_S = 10_000.0


class PublishRig:
    """A publish stage; the test is the tag stage and the poll stage."""

    def __init__(self, limit: DeadLetterLimit | None = None) -> None:
        self.clock = ManualClock()
        self.broker = FakeBroker()
        self.sink = FakeSink(self.broker)
        self.observer = FakeObserver()
        self.tagged: Channel[PublishMessage] = Channel(None)
        self.in_flight = InFlight(1_000, 1_000_000)
        self.ownership = Ownership()
        self.rewinds: list[Mapping[TopicPartition, Rewind]] = []
        self.pauses: list[float] = []
        self.more_comes = True
        self.ready = threading.Event()
        self.stage = PublishStage(
            tagged=self.tagged,
            sink=self.sink,
            dispatcher=Dispatcher(self.sink, FakeCodec(), Route("out", "dead", "1"), lambda: 5.0),
            policy=CommitPolicy(INTERVAL_S),
            limit=limit or DeadLetterLimit(1.0, 100),
            in_flight=self.in_flight,
            ownership=self.ownership,
            more_comes=lambda: self.more_comes,
            rewind=self.rewinds.append,
            ready=self.ready,
            observer=self.observer,
            clock=self.clock,
            wall_clock=lambda: 5.0,
            pause=self.pauses.append,
        )

    def start(self) -> None:
        self.stage.start(lambda: None)

    def assign(self, **numbers: int) -> None:
        assignments = {TopicPartition("articles", int(name[1:])): n for name, n in numbers.items()}
        self.ownership.add(assignments)
        self.tagged.put_urgent(Assigned(assignments))

    def read(self, *outcomes: Outcome) -> None:
        """These were read by the poll stage."""
        for outcome in outcomes:
            self.broker.inputs.setdefault(outcome.raw.position.topic_partition, []).append(
                outcome.raw
            )
            self.in_flight.add(1, outcome.raw.size_bytes)
            self.observer.consumed(1, outcome.raw.size_bytes)

    def put(self, *outcomes: Outcome) -> None:
        """These were read and tagged."""
        self.read(*outcomes)
        self.tagged.put(TaggedBatch(outcomes))

    def sent(self, count: int) -> None:
        eventually(lambda: self.sink.sent_count >= count, f"{count} messages were sent")

    def rewound(self, times: int) -> None:
        eventually(lambda: len(self.rewinds) == times, f"{times} rewinds")

    def idle(self) -> None:
        eventually(lambda: self.tagged.reader_waits and not self.tagged, "all is published")

    def finish(self) -> BaseException | None:
        """Let it come to its end; what it failed with."""
        self.tagged.close()
        assert self.stage.join(PATIENCE_S)
        assert self.sink.closed
        return self.stage.failure

    def reconcile(self) -> None:
        in_flight = self.observer.consumed_messages - self.observer.resolved
        assert in_flight == self.in_flight.messages


@contextmanager
def publishing() -> Iterator[PublishRig]:
    """A running stage with both partitions assigned by number 1."""
    rig = PublishRig()
    rig.assign(p0=1, p1=1)
    rig.start()
    yield rig
    rig.sink.commit_gate.set()
    rig.tagged.abort()
    assert rig.stage.join(PATIENCE_S)


def rejected(offset: int) -> Rejected:
    return Rejected(raw(offset), RejectCode.NO_TEXT, "no text", RejectStage.PREPARE)
