"""A poll stage for the tests, on a broker in memory; the test is the publisher."""

from __future__ import annotations

import threading

from consumer.contracts.messages import RawMessage
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.ownership import Ownership
from consumer.pipeline.channel import Channel, ChannelClosed
from consumer.pipeline.inbox import Assigned, PublishMessage
from consumer.pipeline.poll import PollStage
from tests.support.fakes import P0, P1, PATIENCE_S, ManualClock, eventually
from tests.support.memory.fake_kafka import FakeBroker, FakeSource
from tests.support.memory.fake_observer import FakeObserver

REVOKE_TIMEOUT_S = 10.0


class PollRig:
    """A poll stage on a broker in memory."""

    def __init__(
        self,
        max_messages: int = 1_000,
        max_bytes: int = 1_000_000,
        commit_interval_s: float = 0.0,
    ) -> None:
        self.clock = ManualClock()
        self.broker = FakeBroker()
        self.source = FakeSource(self.broker, ())
        self.incoming: Channel[RawMessage] = Channel(None)
        self.tagged: Channel[PublishMessage] = Channel(2)
        self.in_flight = InFlight(max_messages, max_bytes)
        self.ownership = Ownership()
        self.drained = threading.Event()
        self.observer = FakeObserver()
        self.stage = PollStage(
            source=self.source,
            incoming=self.incoming,
            tagged=self.tagged,
            in_flight=self.in_flight,
            ownership=self.ownership,
            revoke_timeout_s=REVOKE_TIMEOUT_S,
            commit_interval_s=commit_interval_s,
            drained=self.drained,
            observer=self.observer,
            clock=self.clock,
            wall_clock=lambda: 5.0,
        )

    def start(self) -> None:
        self.stage.start(lambda: None)

    def assign(self) -> None:
        """Start with both partitions, and hear of it."""
        self.source.assign(P0, P1)
        self.start()
        assert self.command() == Assigned({P0: 1, P1: 2})

    def command(self) -> PublishMessage:
        command = self.tagged.get(PATIENCE_S)
        assert command is not None, "no command came"
        return command

    def read(self, count: int) -> list[RawMessage]:
        """The next messages that came, so many."""
        messages: list[RawMessage] = []
        while len(messages) < count:
            message = self.incoming.get(PATIENCE_S)
            assert message is not None, "no message came"
            messages.append(message)
        return messages

    def offsets(self, count: int) -> list[int]:
        return [message.position.offset for message in self.read(count)]

    def full_for(self, seconds: float) -> None:
        """Let so much time pass once the stage has seen that the bound is reached."""
        eventually(lambda: self.stage._full_since is not None, "the bound")
        self.clock.advance(seconds)
        served = self.source.serves
        eventually(
            lambda: self.source.serves >= served + 2 or self.source.paused, "a look for room"
        )

    def polled(self, times: int = 2) -> None:
        """Wait until the source was polled anew, so that what was asked of it is done."""
        polls = self.source.polls
        eventually(lambda: self.source.polls >= polls + times, "another poll")

    def ends(self) -> bool:
        """Whether `incoming` is closed, with nothing left in it; waits for it."""
        try:
            self.incoming.get(PATIENCE_S)
        except ChannelClosed:
            return True
        return False

    def end(self) -> BaseException | None:
        self.drained.set()
        self.stage.stop()
        assert self.stage.join(PATIENCE_S)
        return self.stage.failure
