"""Worker: from a broker in memory and back, through every stage; nothing lost, nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from consumer import worker as worker_module
from consumer.articles import RejectCode
from consumer.errors import (
    AbortableError,
    DeadLetterLimitExceeded,
    KafkaProblem,
    ShutdownTimeout,
    StageFailed,
)
from consumer.pipeline.observer import ReleaseReason, TransactionOutcome
from consumer.settings import Settings
from consumer.worker import Worker
from tests.fake_kafka import FakeBroker, FakeSource
from tests.fake_sink import FakeSink
from tests.fakes import (
    P0,
    P1,
    PATIENCE_S,
    FakeCodec,
    FakeObserver,
    FakeTagger,
    ManualClock,
    eventually,
    in_thread,
)


class Bench:
    """A worker and everything around it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, **settings: Any) -> None:
        self.broker = FakeBroker()
        self.source = FakeSource(self.broker, (P0, P1))
        self.sink = FakeSink(self.broker)
        self.tagger = FakeTagger()
        self.observer = FakeObserver()
        self.signals = 0
        self.pauses: list[float] = []
        defaults = {"commit_interval_ms": 5, "batch_wait_ms": 5, "dead_letter_max_ratio": 1.0}
        self.worker = Worker(
            Settings(**(defaults | settings)),
            source=self.source,
            sink=self.sink,
            tagger=self.tagger,  # type: ignore[arg-type]
            codec=FakeCodec(),  # type: ignore[arg-type]
            observer=self.observer,
            clock=clock,
            pause=self.pauses.append,
        )
        self.ended: Future[None] | None = None

    def start(self) -> None:
        def run() -> None:
            self.worker.start(lambda: self.signals)
            self.worker.wait(lambda: self.signals)

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


@pytest.fixture
def benches() -> Iterator[Callable[..., Bench]]:
    """Makes workers, and ends them after the test."""
    made: list[Bench] = []

    def make(*args: Any, **settings: Any) -> Bench:
        made.append(Bench(*args, **settings))
        return made[-1]

    yield make
    for bench in made:
        for gate in (bench.tagger.gate, bench.sink.commit_gate, bench.sink.open_gate):
            gate.set()
        bench.worker.abort()


@pytest.fixture
def bench(benches: Callable[..., Bench]) -> Bench:
    return benches()


Benches = Callable[..., Bench]


def test_every_message_has_one_outcome_in_the_order_of_its_partition(bench: Bench) -> None:
    values = [b"Ada", b"bad", None, b"untokenizable", b"nan", b"Grace and Alan"]
    for _ in range(50):
        bench.broker.feed(*values)
        bench.broker.feed(b"Ada", None, partition=P1, key=None)
    bench.broker.mark()
    bench.start()
    bench.committed(p0=300, p1=100)
    bench.drain()
    assert bench.broker.outcomes(P0) == list(range(300))
    assert bench.broker.outcomes(P1) == list(range(100))
    seen = bench.observer
    assert (seen.published, seen.tombstones) == (150, 100)
    assert seen.rejected == {
        RejectCode.INVALID_JSON: 50,
        RejectCode.TOKENIZATION_FAILED: 50,
        RejectCode.NOT_A_NUMBER: 50,
    }
    assert seen.entities == {"PER": 200}
    assert seen.consumed_messages == 400
    outputs = bench.broker.values("articles-tagged")
    assert outputs.count(b"Grace and Alan|Grace,Alan|fake") == 50
    assert outputs.count(None) == 100


def test_small_batches_and_bounds_change_nothing(benches: Benches) -> None:
    bench = benches(batch_tokens=3, batch_articles=2, in_flight_articles=5, commit_interval_ms=0)
    bench.broker.feed(*[b"one", b"two words", b"one more than three words"] * 40)
    bench.start()
    bench.committed(p0=120)
    bench.drain()
    assert bench.broker.outcomes(P0) == list(range(120))
    assert [len(batch) for batch in bench.tagger.batches if len(batch) > 2] == []
    assert bench.observer.most_in_flight <= 5
    assert True in bench.observer.pauses


def test_a_busy_device_pauses_the_reading(benches: Benches) -> None:
    bench = benches(in_flight_articles=10)
    bench.tagger.gate.clear()
    bench.broker.feed(*[b"Ada"] * 30)
    bench.start()
    eventually(lambda: bench.observer.pauses == [True], "the pause")
    assert bench.observer.consumed_messages == 10
    bench.tagger.gate.set()
    bench.committed(p0=30)
    assert bench.observer.pauses[:2] == [True, False]
    bench.drain()


def test_aborted_transactions_are_read_again(bench: Bench) -> None:
    bench.sink.commit_failures.extend(AbortableError(f"lost {n}") for n in range(3))
    bench.sink.send_failures.extend([None, None, AbortableError("lost while sending")])
    bench.sink.begin_failures.append(AbortableError("lost while beginning"))
    bench.broker.feed(*[b"Ada"] * 20)
    bench.broker.feed(*[b"Grace"] * 20, partition=P1)
    bench.start()
    bench.committed(p0=20, p1=20)
    bench.drain()
    assert bench.broker.outcomes(P0) == list(range(20))
    assert bench.broker.outcomes(P1) == list(range(20))
    assert bench.observer.transactions[TransactionOutcome.ABORTED] == 5
    assert bench.observer.releases[ReleaseReason.REWOUND] > 0
    assert bench.observer.published == 40


def test_what_the_broker_refuses_as_too_large_becomes_a_dead_letter(bench: Bench) -> None:
    bench.sink.broker_max_bytes = {"articles-tagged": 50}
    bench.broker.feed(b"Ada", b"x" * 60, b"Grace")
    bench.start()
    bench.committed(p0=3)
    bench.drain()
    assert bench.broker.outcomes(P0) == [0, 1, 2]
    assert bench.broker.values("articles-dead-letters") == [b"x" * 60]
    assert bench.observer.rejected == {RejectCode.TOO_LARGE: 1}


def test_a_stop_finishes_what_was_read(bench: Bench) -> None:
    bench.tagger.gate.clear()
    bench.broker.feed(*[b"Ada"] * 10)
    bench.start()
    eventually(lambda: bench.observer.consumed_messages == 10, "all was read")
    bench.signals = 1
    eventually(lambda: bench.source.paused, "the stop was seen")
    bench.broker.feed(*[b"late"] * 5)
    assert bench.broker.final == []
    bench.tagger.gate.set()
    bench.result()
    assert bench.broker.committed == {P0: 10}
    bench.reconcile(in_flight=0)


def test_a_stop_with_nothing_to_do(bench: Bench) -> None:
    bench.start()
    eventually(lambda: bench.worker.state().ready, "ready")
    bench.drain()
    assert bench.broker.committed == {}
    assert bench.observer.transactions == {}


def test_a_stop_before_the_producer_is_ready_reads_nothing(bench: Bench) -> None:
    bench.sink.open_gate.clear()
    bench.broker.feed(b"Ada")
    bench.start()
    state = bench.worker.state()
    assert not state.ready
    assert "the producer is not ready" in state.reasons
    bench.signals = 1
    assert bench.ended is not None
    bench.ended.result(PATIENCE_S)
    assert bench.source.polls == 0
    bench.sink.open_gate.set()
    eventually(lambda: bench.sink.closed, "the producer was released")
    eventually(lambda: not bench.worker.running, "the end")


def test_a_producer_that_cannot_open_ends_the_worker_before_it_reads(bench: Bench) -> None:
    bench.sink.open_failure = KafkaProblem("no broker answers")
    bench.broker.feed(b"Ada")
    bench.start()
    with pytest.raises(KafkaProblem, match="no broker answers"):
        bench.result()
    assert bench.source.polls == 0


def test_a_second_signal_forces(benches: Benches) -> None:
    bench = benches(shutdown_timeout_s=10_000)
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada")
    bench.start()
    assert bench.tagger.busy.wait(PATIENCE_S)
    bench.signals = 1
    eventually(
        lambda: "the worker is stopping" in bench.worker.state().reasons, "the stop was seen"
    )
    assert bench.ended is not None
    assert not bench.ended.done()
    bench.signals = 2
    eventually(lambda: bench.sink.closed, "the producer was released")
    bench.tagger.gate.set()
    with pytest.raises(ShutdownTimeout, match="second signal; 1 messages are uncommitted"):
        bench.result()
    assert bench.broker.final == []


def test_a_drain_past_its_time_is_given_up_uncommitted(benches: Benches) -> None:
    clock = ManualClock()
    bench = benches(clock, shutdown_timeout_s=30, commit_interval_ms=1_000_000)
    bench.broker.feed(b"Ada", b"Grace")
    bench.start()
    bench.committed(p0=2)
    bench.tagger.gate.clear()
    bench.broker.feed(b"stuck", b"stuck too")
    assert bench.tagger.busy.wait(PATIENCE_S)
    eventually(lambda: bench.observer.consumed_messages == 4, "all was read")
    bench.signals = 1
    eventually(
        lambda: "the worker is stopping" in bench.worker.state().reasons, "the stop was seen"
    )
    clock.advance(31)
    eventually(lambda: bench.sink.closed, "the producer was released")
    bench.tagger.gate.set()  # too late
    with pytest.raises(ShutdownTimeout, match=r"shutdown_timeout_s=30; 2 messages are uncommitted"):
        bench.result()
    assert bench.broker.committed == {P0: 2}
    assert bench.broker.outcomes() == [0, 1]
    bench.reconcile(in_flight=2)


def test_a_stage_that_hangs_does_not_hold_up_the_end(
    benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "ABORT_S", 0.05)
    bench = benches(shutdown_timeout_s=0.05)
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada")
    bench.start()
    assert bench.tagger.busy.wait(PATIENCE_S)
    bench.signals = 1
    assert bench.ended is not None
    with pytest.raises(ShutdownTimeout):
        bench.ended.result(PATIENCE_S)
    assert bench.worker.running  # the command ends the process all the same
    bench.tagger.gate.set()
    eventually(lambda: not bench.worker.running, "the end")
    assert bench.broker.committed == {}


def test_a_broken_device_ends_the_worker_with_its_cause(benches: Benches) -> None:
    bench = benches(batch_articles=1, commit_interval_ms=1_000_000)
    bench.broker.feed(b"Ada", b"explode", b"Grace")
    bench.start()
    with pytest.raises(StageFailed, match="stage tag failed: ArithmeticError") as caught:
        bench.result()
    assert isinstance(caught.value.__cause__, ArithmeticError)
    assert bench.source.closed
    assert bench.broker.final == []
    assert bench.observer.rejected == {}
    state = bench.worker.state()
    assert not state.alive
    assert state.reasons[0] == "stage tag failed: the device broke"


def test_an_open_transaction_is_aborted_when_another_stage_fails(benches: Benches) -> None:
    bench = benches(ManualClock(), batch_articles=1, commit_interval_ms=1_000_000)
    bench.tagger.fuse.clear()
    bench.broker.feed(b"Ada", b"explode")
    bench.start()
    eventually(lambda: bench.sink.sent_count == 1, "the first was sent")
    bench.tagger.fuse.set()
    with pytest.raises(StageFailed):
        bench.result()
    assert bench.broker.final == []
    assert bench.broker.committed == {}
    assert [len(messages) for messages in bench.sink.aborted] == [1]


def test_a_source_that_fails_ends_the_worker(bench: Bench) -> None:
    bench.start()
    eventually(lambda: bench.worker.state().ready, "ready")
    bench.source.failures.append(KafkaProblem("fenced"))
    with pytest.raises(KafkaProblem, match="fenced"):
        bench.result()
    assert bench.source.closed


def test_a_reader_that_fails_while_stopping_is_not_taken_for_a_drain(bench: Bench) -> None:
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada")
    bench.start()
    assert bench.tagger.busy.wait(PATIENCE_S)
    bench.signals = 1
    eventually(
        lambda: "the worker is stopping" in bench.worker.state().reasons, "the stop was seen"
    )
    bench.source.failures.append(KafkaProblem("fenced while draining"))
    eventually(lambda: not bench.worker._poll.running, "the reader failed")
    bench.tagger.gate.set()
    with pytest.raises(KafkaProblem, match="fenced while draining"):
        bench.result()


def test_a_fenced_producer_ends_the_worker(bench: Bench) -> None:
    bench.sink.commit_failures.append(KafkaProblem("a newer worker has this name"))
    bench.broker.feed(b"Ada")
    bench.start()
    with pytest.raises(KafkaProblem, match="a newer worker has this name"):
        bench.result()
    assert bench.broker.committed == {}
    assert bench.source.closed


def test_too_many_dead_letters_end_the_worker(benches: Benches) -> None:
    bench = benches(dead_letter_max_ratio=0.5, dead_letter_window_messages=10)
    bench.broker.feed(*[b"bad"] * 10)
    bench.start()
    with pytest.raises(DeadLetterLimitExceeded, match="10 of the last 10"):
        bench.result()
    assert bench.broker.committed == {}
    assert bench.source.closed


def test_a_revoke_commits_what_is_finished_and_never_what_is_not(benches: Benches) -> None:
    bench = benches(batch_articles=2, commit_interval_ms=1_000_000)
    bench.broker.feed(b"Ada", b"Grace")
    bench.start()
    bench.committed(p0=2)
    bench.tagger.gate.clear()
    bench.broker.feed(b"in flight", b"in flight too")
    assert bench.tagger.busy.wait(PATIENCE_S)
    assert bench.source.revoke(P0).wait(PATIENCE_S)
    bench.broker.feed(b"Alan", partition=P1)
    bench.tagger.gate.set()
    bench.committed(p0=2, p1=1)
    assert bench.broker.outcomes(P0) == [0, 1]
    eventually(lambda: bench.observer.releases[ReleaseReason.REVOKED] == 2, "the rest is let go")
    assert bench.source.assign(P0).wait(PATIENCE_S)  # it comes back, and is read again
    bench.committed(p0=4, p1=1)
    bench.drain()
    assert bench.broker.outcomes(P0) == [0, 1, 2, 3]


def test_a_commit_after_the_revoke_deadline_is_refused(benches: Benches) -> None:
    clock = ManualClock()
    bench = benches(clock, revoke_timeout_s=10, stall_timeout_s=1_000)
    bench.sink.commit_gate.clear()
    bench.broker.feed(b"Ada", b"Grace")
    bench.start()
    assert bench.sink.committing.wait(PATIENCE_S)
    eventually(lambda: bench.observer.consumed_messages == 2, "all was read")
    revoked = bench.source.revoke(P0)
    eventually(lambda: bench.observer.rebalances[-1][0].value == "revoked", "the revoke")
    clock.advance(11)
    assert revoked.wait(PATIENCE_S)
    bench.sink.commit_gate.set()
    eventually(lambda: bench.observer.resolved == 2, "both were let go")
    assert bench.broker.final == []
    assert bench.observer.transactions[TransactionOutcome.ABORTED] >= 1
    assert bench.observer.transactions[TransactionOutcome.COMMITTED] == 0
    bench.drain()
    assert bench.broker.committed == {}


def test_a_late_commit_is_refused_though_the_partition_came_back(benches: Benches) -> None:
    clock = ManualClock()
    bench = benches(clock, revoke_timeout_s=10, stall_timeout_s=1_000)
    bench.sink.commit_gate.clear()
    bench.broker.feed(b"Ada", b"Grace")
    bench.start()
    assert bench.sink.committing.wait(PATIENCE_S)
    revoked = bench.source.revoke(P0)
    eventually(lambda: bench.observer.rebalances[-1][0].value == "revoked", "the revoke")
    clock.advance(11)
    assert revoked.wait(PATIENCE_S)
    assert bench.source.assign(P0).wait(PATIENCE_S)
    bench.sink.commit_gate.set()
    bench.committed(p0=2)
    bench.drain()
    assert bench.broker.outcomes() == [0, 1]
    assert bench.observer.transactions[TransactionOutcome.ABORTED] >= 1


def test_lost_partitions_are_never_committed(benches: Benches) -> None:
    bench = benches(commit_interval_ms=1_000_000, batch_articles=1)
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada", b"Grace")
    bench.start()
    assert bench.tagger.busy.wait(PATIENCE_S)
    eventually(lambda: bench.observer.consumed_messages == 2, "all was read")
    assert bench.source.lose(P0).wait(PATIENCE_S)
    bench.tagger.gate.set()
    eventually(lambda: bench.observer.releases[ReleaseReason.REVOKED] == 2, "both were let go")
    bench.broker.feed(b"Alan", partition=P1)
    bench.committed(p1=1)
    bench.drain()
    assert bench.broker.outcomes(P0) == []


def test_rebalances_and_aborts_under_load_lose_and_double_nothing(benches: Benches) -> None:
    bench = benches(batch_articles=3, in_flight_articles=40)
    bench.sink.commit_failures.extend([AbortableError("lost")] * 5)
    bench.start()
    for round_ in range(8):
        bench.broker.feed(*[b"Ada", b"bad", None] * 20)
        bench.broker.feed(*[b"Grace"] * 30, partition=P1)
        away = P0 if round_ % 2 else P1
        give_up = bench.source.lose if round_ % 4 < 2 else bench.source.revoke
        assert give_up(away).wait(PATIENCE_S)
        assert bench.source.assign(away).wait(PATIENCE_S)
    bench.committed(p0=480, p1=240)
    bench.drain()
    assert bench.broker.outcomes(P0) == list(range(480))
    assert bench.broker.outcomes(P1) == list(range(240))


def test_state_tells_readiness_and_why_not(benches: Benches) -> None:
    bench = benches()
    state = bench.worker.state()
    assert (state.alive, state.ready) == (True, False)
    assert state.reasons == ("the producer is not ready", "no partition is assigned")
    bench.start()
    eventually(lambda: bench.worker.state().ready, "ready")
    assert bench.worker.state().reasons == ()
    assert bench.source.lose(P0, P1).wait(PATIENCE_S)
    assert bench.worker.state().reasons == ("no partition is assigned",)
    bench.drain()
    assert "the worker is stopping" in bench.worker.state().reasons
    assert bench.worker.state().alive


def test_a_stall_turns_health_red_until_there_is_progress(benches: Benches) -> None:
    clock = ManualClock()
    bench = benches(clock, stall_timeout_s=60)
    bench.start()
    eventually(lambda: bench.worker.state().ready, "ready")
    clock.advance(1_000)  # nothing to do, however long, is no stall
    eventually(lambda: bench.worker.state().alive, "alive while idle")
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada")
    assert bench.tagger.busy.wait(PATIENCE_S)
    clock.advance(60)
    eventually(lambda: bench.worker.state().alive, "alive within the bound")
    clock.advance(1)
    eventually(
        lambda: (
            bench.worker.state().reasons
            == ("stage tag has made no progress for 61 s (stall_timeout_s=60)",)
        ),
        "the stall",
    )
    assert not bench.worker.state().alive
    bench.tagger.gate.set()
    eventually(lambda: bench.worker.state().alive, "alive again")
    bench.drain()
