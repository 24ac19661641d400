"""How a worker ends: drained, forced, out of time, or with the failure of a stage."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from consumer import worker as worker_module
from consumer.contracts.choices import ReleaseReason
from consumer.contracts.errors import (
    KafkaProblem,
    ShutdownTimeout,
    StageFailed,
    StageStalled,
)
from consumer.worker import BATCHES
from tests.support.fakes import P0, PATIENCE_S, ManualClock, eventually, in_thread
from tests.support.rigs.worker_rig import NO_TIMER, Rigs, WorkerRig, workers


@pytest.fixture
def rigs() -> Iterator[Rigs]:
    with workers() as make:
        yield make


@pytest.fixture
def rig(rigs: Rigs) -> WorkerRig:
    return rigs()


def test_a_stop_finishes_what_was_read(rig: WorkerRig) -> None:
    rig.tagger.gate.clear()
    rig.broker.feed(*[b"Ada"] * 10)
    rig.start()
    eventually(lambda: rig.observer.consumed_messages == 10, "all was read")
    rig.signals = 1
    eventually(lambda: rig.source.paused, "the stop was seen")
    rig.broker.feed(*[b"late"] * 5)
    assert rig.broker.final == []
    rig.tagger.gate.set()
    rig.result()
    assert rig.broker.committed == {P0: 10}
    rig.reconcile(in_flight=0)


def test_waiting_for_the_drain_leaves_the_interpreter_to_the_stages(rig: WorkerRig) -> None:
    rig.tagger.gate.clear()
    rig.broker.feed(b"Ada")
    rig.start()
    assert rig.tagger.busy.wait(PATIENCE_S)
    rig.signals = 1
    eventually(lambda: rig.source.paused, "the stop was seen")
    before, began = rig.asked_for_signals, time.monotonic()
    time.sleep(0.5)
    rounds = rig.asked_for_signals - before
    # Some twenty a second; one that spins makes 200,000.
    assert rounds <= 40 * (time.monotonic() - began)
    rig.tagger.gate.set()
    rig.result()


def test_a_stop_with_nothing_to_do(rig: WorkerRig) -> None:
    rig.start()
    eventually(lambda: rig.worker.state().ready, "ready")
    rig.drain()
    assert rig.broker.committed == {}
    assert rig.observer.transactions == {}


def test_a_stop_before_the_producer_is_ready_reads_nothing(rig: WorkerRig) -> None:
    rig.sink.open_gate.clear()
    rig.broker.feed(b"Ada")
    rig.start()
    state = rig.worker.state()
    assert not state.ready
    assert "the producer is not ready" in state.reasons
    rig.signals = 1
    assert rig.ended is not None
    rig.ended.result(PATIENCE_S)
    assert rig.source.polls == 0
    rig.sink.open_gate.set()
    eventually(lambda: rig.sink.closed, "the producer was released")
    eventually(lambda: not rig.worker.running, "the end")


def test_a_producer_that_cannot_open_ends_the_worker_before_it_reads(rig: WorkerRig) -> None:
    rig.sink.open_failure = KafkaProblem("no broker answers")
    rig.broker.feed(b"Ada")
    rig.start()
    with pytest.raises(KafkaProblem, match="no broker answers"):
        rig.result()
    assert rig.source.polls == 0


def test_a_second_signal_forces(rigs: Rigs) -> None:
    rig = rigs(shutdown_timeout_s=10_000)
    rig.tagger.gate.clear()
    rig.broker.feed(b"Ada")
    rig.start()
    assert rig.tagger.busy.wait(PATIENCE_S)
    rig.signals = 1
    eventually(lambda: "the worker is stopping" in rig.worker.state().reasons, "the stop was seen")
    assert rig.ended is not None
    assert not rig.ended.done()
    rig.signals = 2
    eventually(lambda: rig.sink.closed, "the producer was released")
    rig.tagger.gate.set()
    with pytest.raises(ShutdownTimeout, match="second signal; 1 messages are uncommitted"):
        rig.result()
    assert rig.broker.final == []


def test_a_drain_past_its_time_is_given_up_uncommitted(rigs: Rigs) -> None:
    clock = ManualClock()
    rig = rigs(clock, shutdown_timeout_s=30, **NO_TIMER)
    rig.broker.feed(b"Ada", b"Grace")
    rig.start()
    rig.committed(p0=2)
    rig.tagger.gate.clear()
    rig.broker.feed(b"stuck", b"stuck too")
    assert rig.tagger.busy.wait(PATIENCE_S)
    eventually(lambda: rig.observer.consumed_messages == 4, "all was read")
    rig.signals = 1
    eventually(lambda: "the worker is stopping" in rig.worker.state().reasons, "the stop was seen")
    clock.advance(31)
    eventually(lambda: rig.sink.closed, "the producer was released")
    rig.tagger.gate.set()  # too late
    with pytest.raises(ShutdownTimeout, match=r"shutdown_timeout_s=30; 2 messages are uncommitted"):
        rig.result()
    assert rig.broker.committed == {P0: 2}
    assert rig.broker.outcomes() == [0, 1]
    rig.reconcile(in_flight=2)


def see_it_let_go(rig: WorkerRig, clock: ManualClock, after_s: float) -> None:
    """Stop a worker that is far behind; what has not begun is let go so long after, not before."""
    rig.signals = 1
    eventually(lambda: "the worker is stopping" in rig.worker.state().reasons, "the stop was seen")
    clock.advance(after_s - 0.1)
    rounds = rig.asked_for_signals
    eventually(lambda: rig.asked_for_signals > rounds + 2, "the drain goes on")
    assert rig.observer.releases == {}
    clock.advance(0.2)
    eventually(lambda: rig.observer.releases[ReleaseReason.STOPPED] > 100, "most is let go")


def test_a_drain_that_takes_long_lets_go_what_has_not_begun(rigs: Rigs) -> None:
    clock = ManualClock()
    rig = rigs(clock, shutdown_timeout_s=30, batch_articles=1)
    rig.tagger.gate.clear()
    rig.broker.feed(*[b"Ada"] * 200)
    rig.start()
    eventually(lambda: rig.observer.consumed_messages == 200, "all was read")
    # Seven where the first was taken only once all had come: the next comes when half are gone.
    eventually(lambda: len(rig.worker._channels[1]) >= BATCHES - 1, "batches wait")
    see_it_let_go(rig, clock, after_s=15.0)
    rig.tagger.gate.set()
    rig.result()
    tagged = len(rig.tagger.batches)
    assert tagged == 1, "what had begun, and no more"
    assert rig.broker.committed == {P0: tagged}
    assert rig.broker.outcomes() == list(range(tagged))
    assert rig.observer.releases == {ReleaseReason.STOPPED: 200 - tagged}
    rig.reconcile(in_flight=0)


def test_a_drain_lets_go_earlier_where_batches_take_long(rigs: Rigs) -> None:
    clock = ManualClock()
    rig = rigs(clock, shutdown_timeout_s=30, batch_articles=1)
    rig.tagger.gate.clear()
    rig.broker.feed(b"Ada")
    rig.start()
    assert rig.tagger.busy.wait(PATIENCE_S)
    clock.advance(12.0)
    rig.broker.feed(*[b"Ada"] * 200)
    eventually(lambda: rig.observer.consumed_messages == 201, "all was read")
    # The first passes the gate, which the second finds shut.
    rig.tagger.shut_after = 1
    rig.tagger.gate.set()
    eventually(lambda: len(rig.tagger.batches) == 2, "the second has begun")
    see_it_let_go(rig, clock, after_s=6.0)
    rig.tagger.gate.set()
    rig.result()
    assert rig.broker.committed == {P0: 2}
    rig.reconcile(in_flight=0)


def test_a_stage_that_hangs_does_not_hold_up_the_end(
    rigs: Rigs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "ABORT_S", 0.05)
    rig = rigs(shutdown_timeout_s=0.05)
    rig.tagger.gate.clear()
    rig.broker.feed(b"Ada")
    rig.start()
    assert rig.tagger.busy.wait(PATIENCE_S)
    rig.signals = 1
    assert rig.ended is not None
    with pytest.raises(ShutdownTimeout):
        rig.ended.result(PATIENCE_S)
    assert rig.worker.running  # the command ends the process all the same
    rig.tagger.gate.set()
    eventually(lambda: not rig.worker.running, "the end")
    assert rig.broker.committed == {}


def test_a_model_that_hangs_ends_the_worker_uncommitted(
    rigs: Rigs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "ABORT_S", 0.2)
    clock = ManualClock()
    rig = rigs(clock, stall_timeout_s=60, batch_articles=1, **NO_TIMER)
    rig.tagger.fuse.clear()
    rig.broker.feed(b"Ada", b"explode", b"Grace")
    rig.start()
    eventually(lambda: rig.sink.sent_count == 1, "the first was sent")
    eventually(lambda: "self.fuse.wait" in rig.worker._tag.stack(), "the second hangs")
    clock.advance(60)
    rounds = rig.asked_for_signals
    eventually(lambda: rig.asked_for_signals > rounds + 2, "the worker waits on")
    assert rig.worker.state().alive
    clock.advance(1)
    eventually(lambda: not rig.worker.state().alive, "red before the end")
    assert rig.worker.state().reasons[0] == (
        "stage tag has made no progress for 61 s (stall_timeout_s=60)"
    )
    assert rig.ended is not None
    with pytest.raises(StageStalled) as caught:
        rig.ended.result(PATIENCE_S)
    assert str(caught.value).startswith(
        "stage tag has made no progress for 61 s (stall_timeout_s=60): "
    )
    assert "3 messages are uncommitted and will be read again" in str(caught.value)
    assert rig.worker.running  # so the command ends the process without waiting for it
    assert rig.sink.closed
    assert rig.source.closed
    assert rig.broker.final == []
    assert rig.broker.committed == {}
    assert [len(messages) for messages in rig.sink.aborted] == [1]
    rig.tagger.fuse.set()
    eventually(lambda: not rig.worker.running, "the end")
    state = rig.worker.state()
    assert not state.alive  # it went on too late
    assert rig.broker.committed == {}


def test_a_model_that_hangs_while_draining_is_not_waited_for(
    rigs: Rigs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "ABORT_S", 0.05)
    clock = ManualClock()
    rig = rigs(clock, stall_timeout_s=60, shutdown_timeout_s=10_000)
    rig.tagger.gate.clear()
    rig.broker.feed(b"Ada")
    rig.start()
    assert rig.tagger.busy.wait(PATIENCE_S)
    rig.signals = 1
    eventually(lambda: rig.source.paused, "the stop was seen")
    clock.advance(61)
    assert rig.ended is not None
    with pytest.raises(StageStalled, match="1 messages are uncommitted"):
        rig.ended.result(PATIENCE_S)
    assert rig.broker.final == []


def test_a_tagger_that_waits_for_a_busy_publisher_does_not_hang(rigs: Rigs) -> None:
    clock = ManualClock()
    rig = rigs(clock, stall_timeout_s=60, batch_articles=1)
    rig.sink.commit_gate.clear()
    rig.broker.feed(b"Ada")
    rig.start()
    assert rig.sink.committing.wait(PATIENCE_S)
    rig.broker.feed(*[b"Ada"] * 99)
    eventually(lambda: "self._tagged.put" in rig.worker._tag.stack(), "the tagger waits")
    clock.advance(1_000)
    rounds = rig.asked_for_signals
    eventually(lambda: rig.asked_for_signals > rounds + 2, "the worker waits on")
    assert rig.ended is not None
    assert not rig.ended.done()
    rig.sink.commit_gate.set()
    rig.committed(p0=100)
    rig.drain()


def test_a_broken_device_ends_the_worker_with_its_cause(rigs: Rigs) -> None:
    rig = rigs(batch_articles=1, **NO_TIMER)
    rig.broker.feed(b"Ada", b"explode", b"Grace")
    rig.start()
    with pytest.raises(StageFailed, match="stage tag failed: ArithmeticError") as caught:
        rig.result()
    assert isinstance(caught.value.__cause__, ArithmeticError)
    assert rig.source.closed
    assert rig.broker.final == []
    assert rig.observer.rejected == {}
    state = rig.worker.state()
    assert not state.alive
    assert state.reasons[0] == "stage tag failed: the device broke"


def test_an_open_transaction_is_aborted_when_another_stage_fails(rigs: Rigs) -> None:
    rig = rigs(ManualClock(), batch_articles=1, **NO_TIMER)
    rig.tagger.fuse.clear()
    rig.broker.feed(b"Ada", b"explode")
    rig.start()
    eventually(lambda: rig.sink.sent_count == 1, "the first was sent")
    rig.tagger.fuse.set()
    with pytest.raises(StageFailed):
        rig.result()
    assert rig.broker.final == []
    assert rig.broker.committed == {}
    assert [len(messages) for messages in rig.sink.aborted] == [1]


def test_a_source_that_fails_ends_the_worker(rig: WorkerRig) -> None:
    rig.start()
    eventually(lambda: rig.worker.state().ready, "ready")
    rig.source.failures.append(KafkaProblem("fenced"))
    with pytest.raises(KafkaProblem, match="fenced"):
        rig.result()
    assert rig.source.closed


def test_a_reader_that_fails_while_stopping_is_not_taken_for_a_drain(rig: WorkerRig) -> None:
    rig.tagger.gate.clear()
    rig.broker.feed(b"Ada")
    rig.worker.start()
    assert rig.tagger.busy.wait(PATIENCE_S)
    rig.worker.stop()
    rig.source.failures.append(KafkaProblem("fenced while draining"))
    eventually(lambda: rig.source.closed and not rig.worker._poll.running, "the reader failed")
    waiting = in_thread(rig.worker.wait)
    eventually(lambda: rig.sink.closed or waiting.done(), "the failure was seen")
    rig.tagger.gate.set()
    with pytest.raises(KafkaProblem, match="fenced while draining"):
        waiting.result(PATIENCE_S)
    assert rig.broker.committed == {}


def test_a_fenced_producer_ends_the_worker(rig: WorkerRig) -> None:
    rig.sink.commit_failures.append(KafkaProblem("a newer worker has this name"))
    rig.broker.feed(b"Ada")
    rig.start()
    with pytest.raises(KafkaProblem, match="a newer worker has this name"):
        rig.result()
    assert rig.broker.committed == {}
    assert rig.source.closed
