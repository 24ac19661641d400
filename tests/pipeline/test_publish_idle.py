"""PublishStage: offsets that no message moves are committed, beside others or alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from consumer.contracts.errors import AbortableError, GroupMoved, KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.pipeline.bookkeeping.ownership import Finished
from consumer.pipeline.inbox import Idle, Lost, Revoked
from consumer.pipeline.publish import IDLE_AGAIN_S
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, tagged
from tests.support.rigs.publish_rig import PublishRig, publishing


@pytest.fixture
def rig() -> Iterator[PublishRig]:
    with publishing() as one:
        yield one


def idle(rig: PublishRig, **offsets: int) -> None:
    """Nothing waits in these partitions before these offsets; of the assignment 1."""
    rig.tagged.put_urgent(
        Idle({TopicPartition("articles", int(n[1:])): Finished(o, 1) for n, o in offsets.items()})
    )


def taken(rig: PublishRig) -> None:
    """Wait until the stage has done what it was told."""
    eventually(lambda: rig.tagged.reader_waits and not rig.tagged._urgent, "all is done")


def test_offsets_of_idle_partitions_are_committed_alone(rig: PublishRig) -> None:
    idle(rig, p0=4, p1=7)
    eventually(lambda: rig.broker.committed == {P0: 4, P1: 7}, "the commit")
    eventually(lambda: rig.observer.offset_moves == 1, "it is counted")
    assert rig.ownership.committed_offsets() == {P0: 4, P1: 7}
    # It holds no message, and is none of those that reconcile.
    assert rig.observer.transactions == {}
    assert rig.finish() is None
    assert rig.broker.final == []


def test_they_join_a_transaction_that_is_open(rig: PublishRig) -> None:
    """A worker that is busy with one partition moves the others too, without a commit more."""
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    idle(rig, p1=7)
    taken(rig)
    assert rig.broker.committed == {}
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 1, P1: 7}
    assert rig.ownership.committed_offsets() == {P0: 1, P1: 7}
    assert rig.observer.offset_moves == 0


def test_no_offset_passes_what_is_in_the_open_transaction(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(5))
    rig.sent(1)
    idle(rig, p0=8)
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 6}


def test_no_offset_goes_back_behind_what_was_committed_meanwhile(rig: PublishRig) -> None:
    rig.put(tagged(5))
    eventually(lambda: rig.broker.committed == {P0: 6}, "the commit")
    idle(rig, p0=4)
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 6}


def test_a_partition_of_an_aborted_transaction_is_not_moved(rig: PublishRig) -> None:
    """Its messages are read again; their offsets were noted before the abort."""
    rig.sink.commit_failures.append(AbortableError("refused"))
    rig.put(tagged(5))
    rig.rewound(1)
    idle(rig, p0=8, p1=3)
    eventually(lambda: rig.broker.committed == {P1: 3}, "the other one")


def test_a_partition_that_went_is_not_moved(rig: PublishRig) -> None:
    rig.tagged.put_urgent(Lost((P0,)))
    idle(rig, p0=8, p1=3)
    eventually(lambda: rig.broker.committed == {P1: 3}, "the other one")
    rig.ownership.drop([P1])  # the poll stage knows before the publisher does
    idle(rig, p1=9)
    assert rig.finish() is None
    assert rig.broker.committed == {P1: 3}
    assert rig.sink.aborted == []


def test_a_partition_that_went_costs_the_open_transaction_nothing(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    idle(rig, p1=7)
    taken(rig)
    rig.ownership.drop([P1])
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 1}


def test_a_revoke_does_not_commit_what_no_message_moves(rig: PublishRig) -> None:
    rig.read(tagged(9))
    rig.put(tagged(0))
    rig.sent(1)
    idle(rig, p1=7)
    taken(rig)
    done = threading.Event()
    rig.tagged.put_urgent(Revoked((P0,), done))
    assert done.wait(PATIENCE_S)
    assert rig.broker.committed == {P0: 1}


@pytest.mark.parametrize("failure", [AbortableError("refused"), GroupMoved("moved on")])
@pytest.mark.parametrize("begins", [False, True])
def test_where_it_fails_nothing_is_read_again_and_the_next_try_is_late(
    rig: PublishRig, failure: AbortableError, begins: bool
) -> None:
    (rig.sink.begin_failures if begins else rig.sink.commit_failures).append(failure)
    idle(rig, p0=4)
    taken(rig)
    idle(rig, p0=4)
    taken(rig)
    assert rig.broker.committed == {}
    rig.clock.advance(IDLE_AGAIN_S)
    idle(rig, p0=5)
    eventually(lambda: rig.broker.committed == {P0: 5}, "the next try")
    assert rig.rewinds == []
    rig.put(tagged(6))
    assert rig.finish() is None
    assert rig.broker.committed == {P0: 7}


def test_messages_are_committed_while_offsets_alone_are_not(rig: PublishRig) -> None:
    rig.sink.commit_failures.append(AbortableError("refused"))
    idle(rig, p0=4)
    taken(rig)
    rig.put(tagged(6))
    eventually(lambda: rig.broker.committed == {P0: 7}, "the commit")
    assert rig.finish() is None


def test_a_producer_that_is_fenced_ends_the_stage(rig: PublishRig) -> None:
    rig.sink.commit_failures.append(KafkaProblem("fenced"))
    idle(rig, p0=4)
    assert rig.stage.join(PATIENCE_S)
    assert isinstance(rig.stage.failure, KafkaProblem)
