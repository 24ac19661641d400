"""A worker while partitions come and go: every message keeps its one outcome."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.contracts.errors import (
    AbortableError,
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
