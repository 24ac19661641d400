"""Worker: from a broker in memory and back, through every stage; nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import (
    AbortableError,
    DeadLetterLimitExceeded,
)
from consumer.contracts.observer import ReleaseReason, TransactionOutcome
from tests.support.fakes import P0, P1, PATIENCE_S, ManualClock, eventually
from tests.support.worker_rig import Benches, WorkerBench, workers


@pytest.fixture
def benches() -> Iterator[Benches]:
    with workers() as make:
        yield make


@pytest.fixture
def bench(benches: Benches) -> WorkerBench:
    return benches()


def test_every_message_has_one_outcome_in_the_order_of_its_partition(bench: WorkerBench) -> None:
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


def test_aborted_transactions_are_read_again(bench: WorkerBench) -> None:
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


def test_what_the_broker_refuses_as_too_large_becomes_a_dead_letter(bench: WorkerBench) -> None:
    bench.sink.broker_max_bytes = {"articles-tagged": 50}
    bench.broker.feed(b"Ada", b"x" * 60, b"Grace")
    bench.start()
    bench.committed(p0=3)
    bench.drain()
    assert bench.broker.outcomes(P0) == [0, 1, 2]
    assert bench.broker.values("articles-dead-letters") == [b"x" * 60]
    assert bench.observer.rejected == {RejectCode.TOO_LARGE: 1}


def test_too_many_dead_letters_end_the_worker(benches: Benches) -> None:
    bench = benches(dead_letter_max_ratio=0.5, dead_letter_window_messages=10)
    bench.broker.feed(*[b"bad"] * 10)
    bench.start()
    with pytest.raises(DeadLetterLimitExceeded, match="10 of the last 10"):
        bench.result()
    assert bench.broker.committed == {}
    assert bench.source.closed


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


def test_a_publisher_that_waits_for_brokers_turns_health_red_and_goes_on(benches: Benches) -> None:
    clock = ManualClock()
    bench = benches(clock, stall_timeout_s=60)
    bench.start()
    eventually(lambda: bench.worker.state().ready, "ready")
    clock.advance(1_000)  # nothing to do, however long, is no stall
    eventually(lambda: bench.worker.state().alive, "alive while idle")
    bench.sink.commit_gate.clear()
    bench.broker.feed(b"Ada")
    assert bench.sink.committing.wait(PATIENCE_S)
    clock.advance(60)
    eventually(lambda: bench.worker.state().alive, "alive within the bound")
    clock.advance(1)
    eventually(
        lambda: (
            bench.worker.state().reasons
            == ("stage publish has made no progress for 61 s (stall_timeout_s=60)",)
        ),
        "the stall",
    )
    assert not bench.worker.state().alive
    rounds = bench.asked_for_signals
    eventually(lambda: bench.asked_for_signals > rounds + 2, "the worker waits on")
    bench.sink.commit_gate.set()
    eventually(lambda: bench.worker.state().alive, "alive again")
    bench.committed(p0=1)
    bench.drain()
