"""PublishStage while partitions come and go: nothing is committed for someone else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from consumer.contracts.errors import AbortableError
from consumer.contracts.messages import TaggedBatch
from consumer.contracts.observer import ReleaseReason
from consumer.pipeline.inbox import LetGo, Lost, Revoked
from consumer.pipeline.offsets import Rewind
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, tagged
from tests.support.publish_rig import PublishBench, publishing


@pytest.fixture
def bench() -> Iterator[PublishBench]:
    with publishing() as one:
        yield one


def test_a_revoke_commits_what_is_finished_and_lets_go_the_rest(bench: PublishBench) -> None:
    bench.sink.commit_gate.clear()
    bench.put(tagged(0))  # the stage is busy with this while more gets ready
    assert bench.sink.committing.wait(PATIENCE_S)
    bench.put(tagged(1), tagged(5, partition=P1))
    late = tagged(2)
    bench.read(late)
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    assert not done.is_set()
    bench.sink.commit_gate.set()
    assert done.wait(PATIENCE_S)
    assert bench.broker.committed == {P0: 2, P1: 6}
    bench.ownership.drop([P0])
    bench.tagged.put(TaggedBatch((late,)))
    bench.put(tagged(6, partition=P1))
    assert bench.finish() is None
    assert bench.broker.committed == {P0: 2, P1: 7}
    assert bench.broker.outcomes(P0) == [0, 1]
    assert bench.observer.releases == {ReleaseReason.REVOKED: 1}
    bench.reconcile()


@pytest.mark.parametrize("revokes", [False, True])
def test_what_the_worker_does_not_get_to_is_released_and_not_committed(
    bench: PublishBench, revokes: bool
) -> None:
    bench.sink.commit_gate.clear()
    bench.put(tagged(0))  # the stage is busy with this
    assert bench.sink.committing.wait(PATIENCE_S)
    late = [tagged(1), tagged(5, partition=P1)]
    bench.read(*late)
    bench.tagged.put(LetGo(tuple(one.raw for one in late)))
    done = threading.Event()
    if revokes:
        bench.tagged.put_urgent(Revoked((P0,), done))
    bench.sink.commit_gate.set()
    assert bench.finish() is None
    assert done.is_set() is revokes
    assert bench.broker.committed == {P0: 1}
    assert bench.observer.releases == {ReleaseReason.STOPPED: 2}
    assert (bench.in_flight.messages, bench.in_flight.size_bytes) == (0, 0)
    bench.reconcile()


def test_a_revoke_with_nothing_open_is_done_at_once(bench: PublishBench) -> None:
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0, P1), done))
    assert done.wait(PATIENCE_S)
    assert bench.observer.transactions == {}


def test_a_revoke_whose_commit_is_refused_is_done_all_the_same(bench: PublishBench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.sink.commit_failures.append(AbortableError("fenced by the group"))
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert bench.broker.final == []
    assert bench.finish() is None
    bench.reconcile()


def test_what_is_no_longer_owned_is_not_committed(bench: PublishBench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.ownership.drop([P0])  # the revoke did not wait for us
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert bench.broker.final == []
    assert bench.broker.committed == {}


def test_what_was_read_before_a_partition_went_and_came_back_is_not_committed(
    bench: PublishBench,
) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0))
    bench.sent(1)
    bench.ownership.drop([P0])
    bench.ownership.add({P0: 2})
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert bench.broker.final == []


def test_lost_partitions_with_open_outcomes_abort_the_transaction(bench: PublishBench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(0), tagged(5, partition=P1))
    bench.sent(2)
    bench.ownership.drop([P0])
    bench.tagged.put_urgent(Lost((P0,)))
    eventually(lambda: bench.rewinds, "the rewind")
    assert bench.rewinds == [{P0: Rewind(0, 1), P1: Rewind(5, 1)}]
    assert bench.broker.final == []
    bench.put(tagged(1))
    bench.idle()
    assert bench.sink.sent_count == 2
    assert bench.observer.releases[ReleaseReason.REVOKED] == 1
    bench.reconcile()


def test_lost_partitions_without_open_outcomes_leave_the_others_alone(bench: PublishBench) -> None:
    bench.read(tagged(9))
    bench.put(tagged(5, partition=P1))
    bench.sent(1)
    bench.tagged.put_urgent(Lost((P0,)))
    assert bench.finish() is None
    assert bench.broker.committed == {P1: 6}
    assert bench.rewinds == []


def test_a_late_revoke_does_not_take_what_was_read_since(bench: PublishBench) -> None:
    bench.sink.commit_gate.clear()
    bench.put(tagged(0))
    assert bench.sink.committing.wait(PATIENCE_S)
    done = threading.Event()
    bench.tagged.put_urgent(Revoked((P0,), done))
    bench.ownership.drop([P0])  # the revoke did not wait, and the partition came back
    bench.assign(p0=2)
    bench.broker.inputs.clear()
    bench.put(tagged(0, assignment=2), tagged(1, assignment=2))
    bench.sink.commit_gate.set()
    assert done.wait(PATIENCE_S)
    assert bench.finish() is None
    assert bench.broker.outcomes() == [0, 1]
