"""How a worker ends: drained, forced, out of time, or with the failure of a stage."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from consumer import worker as worker_module
from consumer.contracts.errors import (
    KafkaProblem,
    ShutdownTimeout,
    StageFailed,
    StageStalled,
)
from consumer.contracts.observer import ReleaseReason
from consumer.worker import BATCHES
from tests.support.fakes import P0, PATIENCE_S, ManualClock, eventually, in_thread
from tests.support.worker_rig import Benches, WorkerBench, workers


@pytest.fixture
def benches() -> Iterator[Benches]:
    with workers() as make:
        yield make


@pytest.fixture
def bench(benches: Benches) -> WorkerBench:
    return benches()


def test_a_stop_finishes_what_was_read(bench: WorkerBench) -> None:
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


def test_waiting_for_the_drain_leaves_the_interpreter_to_the_stages(bench: WorkerBench) -> None:
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada")
    bench.start()
    assert bench.tagger.busy.wait(PATIENCE_S)
    bench.signals = 1
    eventually(lambda: bench.source.paused, "the stop was seen")
    before = bench.asked_for_signals
    time.sleep(0.5)
    assert bench.asked_for_signals - before <= 20  # some ten rounds; one that spins makes 100,000
    bench.tagger.gate.set()
    bench.result()


def test_a_stop_with_nothing_to_do(bench: WorkerBench) -> None:
    bench.start()
    eventually(lambda: bench.worker.state().ready, "ready")
    bench.drain()
    assert bench.broker.committed == {}
    assert bench.observer.transactions == {}


def test_a_stop_before_the_producer_is_ready_reads_nothing(bench: WorkerBench) -> None:
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


def test_a_producer_that_cannot_open_ends_the_worker_before_it_reads(bench: WorkerBench) -> None:
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


def see_it_let_go(bench: WorkerBench, clock: ManualClock, after_s: float) -> None:
    """Stop a worker that is far behind; what has not begun is let go so long after, not before."""
    bench.signals = 1
    eventually(
        lambda: "the worker is stopping" in bench.worker.state().reasons, "the stop was seen"
    )
    clock.advance(after_s - 0.1)
    rounds = bench.asked_for_signals
    eventually(lambda: bench.asked_for_signals > rounds + 2, "the drain goes on")
    assert bench.observer.releases == {}
    clock.advance(0.2)
    eventually(lambda: bench.observer.releases[ReleaseReason.STOPPED] > 100, "most is let go")


def test_a_drain_that_takes_long_lets_go_what_has_not_begun(benches: Benches) -> None:
    clock = ManualClock()
    bench = benches(clock, shutdown_timeout_s=30, batch_articles=1)
    bench.tagger.gate.clear()
    bench.broker.feed(*[b"Ada"] * 200)
    bench.start()
    eventually(lambda: bench.observer.consumed_messages == 200, "all was read")
    # Seven where the first was taken only once all had come: the next comes when half are gone.
    eventually(lambda: len(bench.worker._channels[1]) >= BATCHES - 1, "batches wait")
    see_it_let_go(bench, clock, after_s=15.0)
    bench.tagger.gate.set()
    bench.result()
    tagged = len(bench.tagger.batches)
    assert tagged == 1, "what had begun, and no more"
    assert bench.broker.committed == {P0: tagged}
    assert bench.broker.outcomes() == list(range(tagged))
    assert bench.observer.releases == {ReleaseReason.STOPPED: 200 - tagged}
    bench.reconcile(in_flight=0)


def test_a_drain_lets_go_earlier_where_batches_take_long(benches: Benches) -> None:
    clock = ManualClock()
    bench = benches(clock, shutdown_timeout_s=30, batch_articles=1)
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada")
    bench.start()
    assert bench.tagger.busy.wait(PATIENCE_S)
    clock.advance(12.0)
    bench.broker.feed(*[b"Ada"] * 200)
    eventually(lambda: bench.observer.consumed_messages == 201, "all was read")
    # The first passes the gate, which the second finds shut.
    bench.tagger.shut_after = 1
    bench.tagger.gate.set()
    eventually(lambda: len(bench.tagger.batches) == 2, "the second has begun")
    see_it_let_go(bench, clock, after_s=6.0)
    bench.tagger.gate.set()
    bench.result()
    assert bench.broker.committed == {P0: 2}
    bench.reconcile(in_flight=0)


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


def test_a_model_that_hangs_ends_the_worker_uncommitted(
    benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "ABORT_S", 0.2)
    clock = ManualClock()
    bench = benches(clock, stall_timeout_s=60, batch_articles=1, commit_interval_ms=1_000_000)
    bench.tagger.fuse.clear()
    bench.broker.feed(b"Ada", b"explode", b"Grace")
    bench.start()
    eventually(lambda: bench.sink.sent_count == 1, "the first was sent")
    eventually(lambda: "self.fuse.wait" in bench.worker._tag.stack(), "the second hangs")
    clock.advance(60)
    rounds = bench.asked_for_signals
    eventually(lambda: bench.asked_for_signals > rounds + 2, "the worker waits on")
    assert bench.worker.state().alive
    clock.advance(1)
    eventually(lambda: not bench.worker.state().alive, "red before the end")
    assert bench.worker.state().reasons[0] == (
        "stage tag has made no progress for 61 s (stall_timeout_s=60)"
    )
    assert bench.ended is not None
    with pytest.raises(StageStalled) as caught:
        bench.ended.result(PATIENCE_S)
    assert str(caught.value).startswith(
        "stage tag has made no progress for 61 s (stall_timeout_s=60): "
    )
    assert "3 messages are uncommitted and will be read again" in str(caught.value)
    assert bench.worker.running  # so the command ends the process without waiting for it
    assert bench.sink.closed
    assert bench.source.closed
    assert bench.broker.final == []
    assert bench.broker.committed == {}
    assert [len(messages) for messages in bench.sink.aborted] == [1]
    bench.tagger.fuse.set()
    eventually(lambda: not bench.worker.running, "the end")
    state = bench.worker.state()
    assert not state.alive  # it went on too late
    assert bench.broker.committed == {}


def test_a_model_that_hangs_while_draining_is_not_waited_for(
    benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "ABORT_S", 0.05)
    clock = ManualClock()
    bench = benches(clock, stall_timeout_s=60, shutdown_timeout_s=10_000)
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada")
    bench.start()
    assert bench.tagger.busy.wait(PATIENCE_S)
    bench.signals = 1
    eventually(lambda: bench.source.paused, "the stop was seen")
    clock.advance(61)
    assert bench.ended is not None
    with pytest.raises(StageStalled, match="1 messages are uncommitted"):
        bench.ended.result(PATIENCE_S)
    assert bench.broker.final == []


def test_a_tagger_that_waits_for_a_busy_publisher_does_not_hang(benches: Benches) -> None:
    clock = ManualClock()
    bench = benches(clock, stall_timeout_s=60, batch_articles=1)
    bench.sink.commit_gate.clear()
    bench.broker.feed(b"Ada")
    bench.start()
    assert bench.sink.committing.wait(PATIENCE_S)
    bench.broker.feed(*[b"Ada"] * 99)
    eventually(lambda: "self._tagged.put" in bench.worker._tag.stack(), "the tagger waits")
    clock.advance(1_000)
    rounds = bench.asked_for_signals
    eventually(lambda: bench.asked_for_signals > rounds + 2, "the worker waits on")
    assert bench.ended is not None
    assert not bench.ended.done()
    bench.sink.commit_gate.set()
    bench.committed(p0=100)
    bench.drain()


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


def test_a_source_that_fails_ends_the_worker(bench: WorkerBench) -> None:
    bench.start()
    eventually(lambda: bench.worker.state().ready, "ready")
    bench.source.failures.append(KafkaProblem("fenced"))
    with pytest.raises(KafkaProblem, match="fenced"):
        bench.result()
    assert bench.source.closed


def test_a_reader_that_fails_while_stopping_is_not_taken_for_a_drain(bench: WorkerBench) -> None:
    bench.tagger.gate.clear()
    bench.broker.feed(b"Ada")
    bench.worker.start()
    assert bench.tagger.busy.wait(PATIENCE_S)
    bench.worker.stop()
    bench.source.failures.append(KafkaProblem("fenced while draining"))
    eventually(lambda: bench.source.closed and not bench.worker._poll.running, "the reader failed")
    waiting = in_thread(bench.worker.wait)
    eventually(lambda: bench.sink.closed or waiting.done(), "the failure was seen")
    bench.tagger.gate.set()
    with pytest.raises(KafkaProblem, match="fenced while draining"):
        waiting.result(PATIENCE_S)
    assert bench.broker.committed == {}


def test_a_fenced_producer_ends_the_worker(bench: WorkerBench) -> None:
    bench.sink.commit_failures.append(KafkaProblem("a newer worker has this name"))
    bench.broker.feed(b"Ada")
    bench.start()
    with pytest.raises(KafkaProblem, match="a newer worker has this name"):
        bench.result()
    assert bench.broker.committed == {}
    assert bench.source.closed
