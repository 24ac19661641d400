"""PublishStage while partitions come and go: nothing is committed for someone else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from consumer.contracts.choices import ReleaseReason
from consumer.contracts.errors import AbortableError
from consumer.contracts.messages import TaggedBatch
from consumer.pipeline.bookkeeping.offsets import Rewind
from consumer.pipeline.inbox import LetGo, Lost, Revoked
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, tagged
from tests.support.rigs.publish_rig import PublishRig, publishing


@pytest.fixture
def rig() -> Iterator[PublishRig]:
    with publishing() as one:
        yield one


def test_a_revoke_commits_what_is_finished_and_lets_go_the_rest(rig: PublishRig) -> None:
    rig.sink.commit_gate.clear()
    rig.put(tagged(0))  # the stage is busy with this while more gets ready
    assert rig.sink.committing.wait(PATIENCE_S)
    rig.put(tagged(1), tagged(5, partition=P1))
    late = tagged(2)
    rig.read(late)
    done = threading.Event()
    rig.tagged.put_urgent(Revoked((P0,), done))
    assert not done.is_set()
    rig.sink.commit_gate.set()
    assert done.wait(PATIENCE_S)
    assert rig.broker.committed == {P0: 2, P1: 6}
    rig.ownership.drop([P0])
    rig.tagged.put(TaggedBatch((late,)))
    rig.put(tagged(6, partition=P1))
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 2, P1: 7}
    assert rig.broker.outcomes(P0) == [0, 1]
    assert rig.observer.releases == {ReleaseReason.REVOKED: 1}
    rig.reconcile()


@pytest.mark.parametrize("revokes", [False, True])
def test_what_the_worker_does_not_get_to_is_released_and_not_committed(
    rig: PublishRig, revokes: bool
) -> None:
    rig.sink.commit_gate.clear()
    rig.put(tagged(0))  # the stage is busy with this
    assert rig.sink.committing.wait(PATIENCE_S)
    late = [tagged(1), tagged(5, partition=P1)]
    rig.read(*late)
    rig.tagged.put(LetGo(tuple(one.raw for one in late)))
    done = threading.Event()
    if revokes:
        rig.tagged.put_urgent(Revoked((P0,), done))
    rig.sink.commit_gate.set()
    assert rig.finish() is None
    assert done.is_set() is revokes
    assert rig.broker.committed == {P0: 1}
    assert rig.observer.releases == {ReleaseReason.STOPPED: 2}
    assert (rig.in_flight.messages, rig.in_flight.size_bytes) == (0, 0)
    rig.reconcile()


def test_what_is_let_go_since_it_is_read_again_is_not_called_stopped(rig: PublishRig) -> None:
    rewound, taken, stopped = tagged(0), tagged(1), tagged(5, partition=P1)
    rig.read(rewound, taken, stopped)
    rig.assign(p0=2)
    rig.tagged.put(LetGo((rewound.raw, stopped.raw)))
    done = threading.Event()
    eventually(lambda: rig.observer.releases.total() == 2, "two are released")
    rig.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    rig.ownership.drop([P0])
    rig.tagged.put(LetGo((taken.raw,)))
    assert rig.finish() is None
    assert rig.observer.releases == dict.fromkeys(
        (ReleaseReason.REWOUND, ReleaseReason.STOPPED, ReleaseReason.REVOKED), 1
    )
    assert rig.broker.committed == {}
    rig.reconcile()


def test_a_revoke_with_nothing_open_is_done_at_once(rig: PublishRig) -> None:
    done = threading.Event()
    rig.tagged.put_urgent(Revoked((P0, P1), done))
    assert done.wait(PATIENCE_S)
    assert rig.observer.transactions == {}


def test_a_revoke_whose_commit_is_refused_is_done_all_the_same(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    rig.sink.commit_failures.append(AbortableError("fenced by the group"))
    done = threading.Event()
    rig.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert rig.broker.final == []
    assert rig.finish() is None
    rig.reconcile()


def test_what_is_no_longer_owned_is_not_committed(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    rig.ownership.drop([P0])  # the revoke did not wait for us
    done = threading.Event()
    rig.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert rig.broker.final == []
    assert rig.broker.committed == {}


def test_what_was_read_before_a_partition_went_and_came_back_is_not_committed(
    rig: PublishRig,
) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    rig.ownership.drop([P0])
    rig.ownership.add({P0: 2})
    done = threading.Event()
    rig.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert rig.broker.final == []


def test_lost_partitions_with_open_outcomes_abort_the_transaction(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0), tagged(5, partition=P1))
    rig.sent(2)
    rig.ownership.drop([P0])
    rig.tagged.put_urgent(Lost((P0,)))
    eventually(lambda: rig.rewinds, "the rewind")
    assert rig.rewinds == [{P0: Rewind(0, 1), P1: Rewind(5, 1)}]
    assert rig.broker.final == []
    rig.put(tagged(1))
    rig.idle()
    assert rig.sink.sent_count == 2
    assert rig.observer.releases[ReleaseReason.REVOKED] == 1
    rig.reconcile()


def test_lost_partitions_without_open_outcomes_leave_the_others_alone(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(5, partition=P1))
    rig.sent(1)
    rig.tagged.put_urgent(Lost((P0,)))
    assert rig.finish() is None
    assert rig.broker.committed == {P1: 6}
    assert rig.rewinds == []


def test_a_late_revoke_does_not_take_what_was_read_since(rig: PublishRig) -> None:
    rig.sink.commit_gate.clear()
    rig.put(tagged(0))
    assert rig.sink.committing.wait(PATIENCE_S)
    done = threading.Event()
    rig.tagged.put_urgent(Revoked((P0,), done))
    rig.ownership.drop([P0])  # the revoke did not wait, and the partition came back
    rig.assign(p0=2)
    rig.broker.inputs.clear()
    rig.put(tagged(0, assignment=2), tagged(1, assignment=2))
    rig.sink.commit_gate.set()
    assert done.wait(PATIENCE_S)
    assert rig.finish() is None
    assert rig.broker.outcomes() == [0, 1]
