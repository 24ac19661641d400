"""A worker for the tests, with everything around it in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from consumer.contracts.traces import Tracer
from consumer.settings.schema import Settings
from consumer.worker import Worker
from tests.support.fakes import (
    P0,
    P1,
    PATIENCE_S,
    FakeCodec,
    FakeTagger,
    eventually,
    in_thread,
)
from tests.support.memory.fake_kafka import FakeBroker, FakeSource
from tests.support.memory.fake_observer import FakeObserver
from tests.support.memory.fake_sink import FakeSink

#: Settings by which no timer commits in a test.
NO_TIMER = {"commit_interval_ms": 450_000, "transaction_timeout_ms": 900_000}


class WorkerRig:
    """A worker and everything around it."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        tracer: Tracer | None = None,
        **settings: Any,
    ) -> None:
        self.broker = FakeBroker()
        self.source = FakeSource(self.broker, (P0, P1))
        self.sink = FakeSink(self.broker, self.source)
        self.tagger = FakeTagger()
        self.codec = FakeCodec()
        self.observer = FakeObserver()
        self.signals = 0
        self.asked_for_signals = 0
        self.pauses: list[float] = []
        defaults = {"commit_interval_ms": 5, "batch_wait_ms": 5, "dead_letter_max_ratio": 1.0}
        self.worker = Worker(
            Settings(**(defaults | settings)),
            source=self.source,
            sink=self.sink,
            tagger=self.tagger,
            codec=self.codec,
            observer=self.observer,
            clock=clock,
            pause=self.pauses.append,
            tracer=tracer,
        )
        self.ended: Future[None] | None = None

    def start(self) -> None:
        def signals() -> int:
            self.asked_for_signals += 1
            return self.signals

        def run() -> None:
            self.worker.start(signals)
            self.worker.wait(signals)

        self.ended = in_thread(run)

    def committed(self, **offsets: int) -> None:
        """Wait until these offsets are final."""
        wanted = {P0 if name == "p0" else P1: offset for name, offset in offsets.items()}
        eventually(lambda: self.broker.committed == wanted, f"{wanted} committed")

    def result(self) -> None:
        """Wait for the end; raises what `wait` raised. Nothing may be left behind."""
        assert self.ended is not None
        try:
            self.ended.result(PATIENCE_S)
        finally:
            assert not self.worker.running
            assert self.sink.closed

    def drain(self) -> None:
        """Stop, and see that all came to its end and that the counts reconcile."""
        self.signals = 1
        self.result()
        assert self.source.closed
        self.reconcile(in_flight=0)

    def reconcile(self, in_flight: int) -> None:
        assert self.observer.consumed_messages == self.observer.resolved + in_flight


#: Makes workers; takes what `WorkerRig` does.
Rigs = Callable[..., WorkerRig]


@contextmanager
def workers() -> Iterator[Rigs]:
    """Makes workers, and ends them in the end."""
    made: list[WorkerRig] = []

    def make(*args: Any, **settings: Any) -> WorkerRig:
        made.append(WorkerRig(*args, **settings))
        return made[-1]

    yield make
    for rig in made:
        for gate in (rig.tagger.gate, rig.tagger.fuse):
            gate.set()
        for gate in (rig.sink.commit_gate, rig.sink.open_gate):
            gate.set()
        rig.worker.abort()
