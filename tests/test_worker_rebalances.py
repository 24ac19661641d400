"""A worker while partitions come and go: every message keeps its one outcome."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.contracts.choices import ReleaseReason, TransactionOutcome
from consumer.contracts.errors import (
    AbortableError,
)
from tests.support.fakes import P0, P1, PATIENCE_S, ManualClock, eventually
from tests.support.rigs.worker_rig import NO_TIMER, Rigs, WorkerRig, workers


@pytest.fixture
def rigs() -> Iterator[Rigs]:
    with workers() as make:
        yield make


@pytest.fixture
def rig(rigs: Rigs) -> WorkerRig:
    return rigs()


def test_a_revoke_commits_what_is_finished_and_never_what_is_not(rigs: Rigs) -> None:
    rig = rigs(batch_articles=2, **NO_TIMER)
    rig.broker.feed(b"Ada", b"Grace")
    rig.start()
    rig.committed(p0=2)
    rig.tagger.gate.clear()
    rig.broker.feed(b"in flight", b"in flight too")
    assert rig.tagger.busy.wait(PATIENCE_S)
    assert rig.source.revoke(P0).wait(PATIENCE_S)
    rig.broker.feed(b"Alan", partition=P1)
    rig.tagger.gate.set()
    rig.committed(p0=2, p1=1)
    assert rig.broker.outcomes(P0) == [0, 1]
    eventually(lambda: rig.observer.releases[ReleaseReason.REVOKED] == 2, "the rest is let go")
    assert rig.source.assign(P0).wait(PATIENCE_S)  # it comes back, and is read again
    rig.committed(p0=4, p1=1)
    rig.drain()
    assert rig.broker.outcomes(P0) == [0, 1, 2, 3]


def test_a_commit_after_the_revoke_deadline_is_refused(rigs: Rigs) -> None:
    clock = ManualClock()
    rig = rigs(clock, revoke_timeout_s=10, stall_timeout_s=1_000)
    rig.sink.commit_gate.clear()
    rig.broker.feed(b"Ada", b"Grace")
    rig.start()
    assert rig.sink.committing.wait(PATIENCE_S)
    eventually(lambda: rig.observer.consumed_messages == 2, "all was read")
    revoked = rig.source.revoke(P0)
    eventually(lambda: rig.observer.rebalances[-1][0].value == "revoked", "the revoke")
    clock.advance(11)
    assert revoked.wait(PATIENCE_S)
    rig.sink.commit_gate.set()
    eventually(lambda: rig.observer.resolved == 2, "both were let go")
    assert rig.broker.final == []
    assert rig.observer.transactions[TransactionOutcome.ABORTED] >= 1
    assert rig.observer.transactions[TransactionOutcome.COMMITTED] == 0
    rig.drain()
    assert rig.broker.committed == {}


def test_a_late_commit_is_refused_though_the_partition_came_back(rigs: Rigs) -> None:
    clock = ManualClock()
    rig = rigs(clock, revoke_timeout_s=10, stall_timeout_s=1_000)
    rig.sink.commit_gate.clear()
    rig.broker.feed(b"Ada", b"Grace")
    rig.start()
    assert rig.sink.committing.wait(PATIENCE_S)
    revoked = rig.source.revoke(P0)
    eventually(lambda: rig.observer.rebalances[-1][0].value == "revoked", "the revoke")
    clock.advance(11)
    assert revoked.wait(PATIENCE_S)
    assert rig.source.assign(P0).wait(PATIENCE_S)
    rig.sink.commit_gate.set()
    rig.committed(p0=2)
    rig.drain()
    assert rig.broker.outcomes() == [0, 1]
    assert rig.observer.transactions[TransactionOutcome.ABORTED] >= 1


def test_lost_partitions_are_never_committed(rigs: Rigs) -> None:
    rig = rigs(**NO_TIMER, batch_articles=1)
    rig.tagger.gate.clear()
    rig.broker.feed(b"Ada", b"Grace")
    rig.start()
    assert rig.tagger.busy.wait(PATIENCE_S)
    eventually(lambda: rig.observer.consumed_messages == 2, "all was read")
    assert rig.source.lose(P0).wait(PATIENCE_S)
    rig.tagger.gate.set()
    eventually(lambda: rig.observer.releases[ReleaseReason.REVOKED] == 2, "both were let go")
    rig.broker.feed(b"Alan", partition=P1)
    rig.committed(p1=1)
    rig.drain()
    assert rig.broker.outcomes(P0) == []


def test_rebalances_and_aborts_under_load_lose_and_double_nothing(rigs: Rigs) -> None:
    rig = rigs(batch_articles=3, in_flight_articles=40)
    rig.sink.commit_failures.extend([AbortableError("lost")] * 5)
    rig.start()
    for round_ in range(8):
        rig.broker.feed(*[b"Ada", b"bad", None] * 20)
        rig.broker.feed(*[b"Grace"] * 30, partition=P1)
        away = P0 if round_ % 2 else P1
        give_up = rig.source.lose if round_ % 4 < 2 else rig.source.revoke
        assert give_up(away).wait(PATIENCE_S)
        assert rig.source.assign(away).wait(PATIENCE_S)
    rig.committed(p0=480, p1=240)
    rig.drain()
    assert rig.broker.outcomes(P0) == list(range(480))
    assert rig.broker.outcomes(P1) == list(range(240))
