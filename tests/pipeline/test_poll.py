"""PollStage: reading, back-pressure, rewinds and rebalances; the test is the publisher."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from consumer.contracts.choices import JumpReason, RebalanceEvent
from consumer.contracts.errors import KafkaProblem
from consumer.pipeline.bookkeeping.offsets import Rewind
from consumer.pipeline.bookkeeping.ownership import Finished
from consumer.pipeline.inbox import Assigned, Idle, Lost, Revoked
from consumer.pipeline.poll import LAG_INTERVAL_S, LONGEST_STOP_S, PAUSE_AFTER_S, RUN_INTERVAL_S
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, in_thread
from tests.support.rigs.poll_rig import REVOKE_TIMEOUT_S, PollRig


@pytest.fixture
def rig() -> Iterator[PollRig]:
    one = PollRig()
    yield one
    if one.stage.started:
        one.end()


def test_messages_come_in_order_with_their_assignment(rig: PollRig) -> None:
    rig.broker.feed(b"a", b"bc", None)
    rig.assign()
    messages = rig.read(3)
    assert [message.value for message in messages] == [b"a", b"bc", None]
    assert {message.assignment for message in messages} == {1}
    rig.broker.feed(b"later", partition=P1)
    (later,) = rig.read(1)
    assert (later.position.topic_partition, later.assignment) == (P1, 2)
    assert rig.in_flight.messages == 4
    assert rig.in_flight.size_bytes == 4 * len(b"key") + len(b"abclater")
    assert rig.observer.consumed_messages == 4
    assert rig.observer.consumed_bytes == rig.in_flight.size_bytes
    assert rig.ownership.count == 2


def test_reading_pauses_at_the_bound_and_resumes_well_under_it() -> None:
    rig = PollRig(max_messages=4)
    rig.broker.feed(*[b"a"] * 10)
    rig.assign()
    assert rig.offsets(4) == [0, 1, 2, 3]
    rig.full_for(PAUSE_AFTER_S)
    eventually(lambda: rig.observer.pauses == [True], "the pause")
    rig.in_flight.remove(1, 4)
    rig.polled(5)  # polling goes on, for the sake of the membership
    assert len(rig.incoming) == 0
    rig.in_flight.remove(1, 4)
    assert rig.offsets(2) == [4, 5]
    rig.full_for(PAUSE_AFTER_S)
    eventually(lambda: rig.observer.pauses == [True, False, True], "the next pause")
    assert rig.in_flight.messages == 4
    assert rig.end() is None


def test_reading_pauses_at_the_bytes_too() -> None:
    rig = PollRig(max_bytes=10)
    rig.broker.feed(b"x" * 20)
    rig.assign()
    assert rig.offsets(1) == [0]
    rig.full_for(PAUSE_AFTER_S)
    eventually(lambda: rig.source.paused, "the pause")
    rig.broker.feed(b"y")
    rig.polled()
    assert len(rig.incoming) == 0
    rig.in_flight.remove(1, rig.in_flight.size_bytes)
    assert rig.offsets(1) == [1]
    assert rig.end() is None


def test_room_that_comes_soon_spares_the_pause() -> None:
    rig = PollRig(max_messages=4)
    rig.broker.feed(*[b"a"] * 10)
    rig.assign()
    assert rig.offsets(4) == [0, 1, 2, 3]
    rig.full_for(PAUSE_AFTER_S * 0.9)
    assert len(rig.incoming) == 0
    rig.in_flight.remove(1, 4)
    assert rig.offsets(1) == [4]
    # The bound is reached anew, and with it the time begins anew.
    rig.full_for(PAUSE_AFTER_S * 0.9)
    rig.in_flight.remove(4, 16)
    assert rig.offsets(4) == [5, 6, 7, 8]
    assert rig.observer.pauses == []
    assert rig.end() is None


@pytest.mark.parametrize(
    ("commit_interval_s", "stops_s"), [(0.0, 0.2), (1.0, 2.2), (60.0, LONGEST_STOP_S)]
)
def test_an_open_transaction_is_no_reason_to_pause(
    commit_interval_s: float, stops_s: float
) -> None:
    rig = PollRig(max_messages=4, commit_interval_s=commit_interval_s)
    rig.broker.feed(*[b"a"] * 10)
    rig.assign()
    assert rig.offsets(4) == [0, 1, 2, 3]
    rig.full_for(stops_s * 0.95)
    assert not rig.source.paused
    rig.full_for(stops_s * 0.1)
    eventually(lambda: rig.observer.pauses == [True], "the pause")
    assert rig.end() is None


def test_a_rewind_brings_messages_back_under_a_new_number(rig: PollRig) -> None:
    rig.broker.feed(b"a", b"b", b"c")
    rig.assign()
    assert rig.offsets(3) == [0, 1, 2]
    rig.stage.rewind({P0: Rewind(1, 1)})
    assert rig.command() == Assigned({P0: 3})
    again = rig.read(2)
    assert [(message.position.offset, message.assignment) for message in again] == [(1, 3), (2, 3)]
    assert rig.ownership.owns({P0: 3, P1: 2})


def test_a_rewind_of_a_partition_that_went_away_does_nothing(rig: PollRig) -> None:
    rig.assign()
    rig.source.lose(P0)
    assert rig.command() == Lost((P0,))
    rig.stage.rewind({P0: Rewind(0, 1)})
    assert rig.command() == Assigned({})
    assert not rig.ownership.owns({P0: 1})


def test_a_rewind_from_before_a_partition_came_back_does_nothing(rig: PollRig) -> None:
    rig.broker.feed(b"a", b"b", b"c")
    rig.assign()
    assert rig.offsets(3) == [0, 1, 2]
    rig.source.lose(P0)
    assert rig.command() == Lost((P0,))
    rig.broker.committed[P0] = 2  # by the worker that had it meanwhile
    rig.source.assign(P0)
    assert rig.command() == Assigned({P0: 3})
    rig.stage.rewind({P0: Rewind(0, 1)})
    assert rig.command() == Assigned({})
    assert rig.offsets(1) == [2]
    rig.polled()
    assert len(rig.incoming) == 0


def test_a_revoke_waits_until_the_publisher_is_done(rig: PollRig) -> None:
    rig.assign()
    revoked = rig.source.revoke(P0)
    command = rig.command()
    assert isinstance(command, Revoked)
    assert command.partitions == (P0,)
    assert not revoked.is_set()
    assert rig.ownership.owns({P0: 1})  # the last commit is still allowed
    command.done.set()
    assert revoked.wait(PATIENCE_S)
    assert not rig.ownership.owns({P0: 1})
    assert rig.ownership.owns({P1: 2})
    assert rig.observer.rebalances == [
        (RebalanceEvent.ASSIGNED, 2),
        (RebalanceEvent.REVOKED, 1),
    ]
    assert set(rig.observer.moved) == {P1}


def test_a_revoke_goes_on_after_its_deadline_and_gives_up_the_ownership(rig: PollRig) -> None:
    rig.assign()
    revoked = rig.source.revoke(P0)
    command = rig.command()
    assert isinstance(command, Revoked)
    rig.clock.advance(REVOKE_TIMEOUT_S - 1)
    assert not revoked.wait(0.05)
    rig.clock.advance(1)
    assert revoked.wait(PATIENCE_S)
    assert not rig.ownership.owns({P0: 1})


def test_the_source_serves_other_threads_while_a_revoke_waits(rig: PollRig) -> None:
    rig.assign()
    revoked = rig.source.revoke(P0)
    command = rig.command()
    assert isinstance(command, Revoked)
    assert in_thread(rig.source.group_metadata).result(PATIENCE_S) is not None
    assert not revoked.is_set()
    command.done.set()
    assert revoked.wait(PATIENCE_S)


def test_a_revoke_does_not_wait_for_a_publisher_that_has_ended(rig: PollRig) -> None:
    rig.assign()
    revoked = rig.source.revoke(P0)
    rig.command()
    rig.drained.set()
    assert revoked.wait(PATIENCE_S)


def test_lost_partitions_are_given_up_before_the_publisher_hears_of_it(rig: PollRig) -> None:
    rig.assign()
    rig.source.lose(P0)
    assert rig.command() == Lost((P0,))
    assert not rig.ownership.owns({P0: 1})
    assert rig.observer.rebalances[-1] == (RebalanceEvent.LOST, 1)
    assert rig.tagged.get(timeout_s=0) is None


def test_a_worker_that_rejoins_is_counted(rig: PollRig) -> None:
    rig.stage.on_rejoined()
    assert rig.observer.rebalances == [(RebalanceEvent.REJOINED, 0)]


def test_a_place_that_was_gone_is_counted(rig: PollRig) -> None:
    rig.stage.on_jumped(JumpReason.REMOVED, 30)
    assert rig.observer.jumps == [(JumpReason.REMOVED, 30)]


def test_a_stop_ends_reading_but_keeps_the_membership_until_drained(rig: PollRig) -> None:
    rig.broker.feed(b"a")
    rig.assign()
    assert rig.offsets(1) == [0]
    rig.stage.stop()
    assert rig.ends()
    rig.broker.feed(b"b")
    rig.polled()
    assert not rig.source.closed
    assert rig.in_flight.messages == 1
    rig.drained.set()
    assert rig.stage.join(PATIENCE_S)
    assert rig.source.closed
    assert rig.stage.failure is None
    assert rig.tagged.get(timeout_s=0) is None  # nobody is left to ask for a last commit


def test_a_revoke_during_the_drain_is_still_served(rig: PollRig) -> None:
    rig.assign()
    rig.stage.stop()
    assert rig.ends()
    revoked = rig.source.revoke(P0)
    command = rig.command()
    assert isinstance(command, Revoked)
    command.done.set()
    assert revoked.wait(PATIENCE_S)


def test_a_publisher_that_ends_by_itself_ends_the_reading(rig: PollRig) -> None:
    rig.assign()
    rig.drained.set()
    assert rig.stage.join(PATIENCE_S)
    assert rig.source.closed


def test_a_source_that_fails_ends_the_stage_and_leaves_the_group(rig: PollRig) -> None:
    failure = KafkaProblem("fenced")
    rig.source.failures.append(failure)
    rig.start()
    assert rig.stage.join(PATIENCE_S)
    assert rig.stage.failure is failure
    assert rig.source.closed


def test_lag_is_told_past_markers_and_freshness_at_the_end(rig: PollRig) -> None:
    rig.broker.feed(b"a", b"b", b"c")
    rig.broker.mark()
    rig.assign()
    assert rig.offsets(3) == [0, 1, 2]
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.lags == {P0: 4, P1: 0}, "the lag of what is uncommitted")
    rig.ownership.committed({P0: 2})
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.lags == {P0: 2, P1: 0}, "the lag of the last message")
    rig.observer.moved.clear()
    rig.ownership.committed({P0: 3})
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.lags == {P0: 0, P1: 0}, "no lag")
    eventually(lambda: rig.observer.moved == {P0: 5.0, P1: 5.0}, "fresh at the end")
    assert rig.observer.load == (3, rig.in_flight.size_bytes)


def test_what_waits_behind_an_open_transaction_upstream_is_lag_and_no_progress(
    rig: PollRig,
) -> None:
    rig.broker.feed(b"a", b"b")
    rig.broker.held[P0] = 2
    rig.assign()
    assert rig.offsets(2) == [0, 1]
    rig.ownership.committed({P0: 2})
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.lags == {P0: 0, P1: 0}, "nothing waits")
    rig.broker.feed(b"open", b"behind it", b"behind it too")
    eventually(lambda: rig.source.high_watermarks()[P0] == 5, "the end is known")
    rig.observer.moved.clear()
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.lags == {P0: 3, P1: 0}, "three wait")
    eventually(lambda: rig.observer.last_ends == ({P0: 2, P1: 0}, {P0: 5, P1: 0}), "both ends")
    eventually(lambda: rig.observer.moved == {P1: 5.0}, "only the other one is fresh")
    # The transaction ends: its marker takes an offset, and nothing waits any more.
    rig.broker.mark()
    del rig.broker.held[P0]
    assert rig.offsets(3) == [2, 3, 4]
    rig.ownership.committed({P0: 5})
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.lags == {P0: 0, P1: 0}, "nothing waits again")
    eventually(lambda: rig.observer.moved == {P0: 5.0, P1: 5.0}, "both are fresh")


def test_passing_what_was_aborted_upstream_is_progress(rig: PollRig) -> None:
    """Where transactions upstream overlap, and are aborted, nothing is ever committed here."""
    rig.broker.mark()
    rig.broker.held[P0] = 1
    rig.broker.mark()
    rig.assign()
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.lags == {P0: 1, P1: 0}, "one is held")
    rig.observer.moved.clear()
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.moved == {P1: 5.0}, "it stands")
    for held in (2, 3):
        rig.observer.moved.clear()
        rig.broker.mark()
        rig.broker.held[P0] = held
        rig.polled(2)
        rig.clock.advance(LAG_INTERVAL_S)
        eventually(lambda: P0 in rig.observer.moved, "it moved")
        assert rig.observer.lags == {P0: 1, P1: 0}


def test_past_a_marker_the_publisher_is_told_what_to_commit(rig: PollRig) -> None:
    rig.broker.feed(b"a")
    rig.broker.mark()
    rig.assign()
    assert rig.offsets(1) == [0]
    rig.polled(3)
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: rig.observer.lags == {P0: 2, P1: 0}, "the look")
    rig.ownership.committed({P0: 1})
    rig.clock.advance(LAG_INTERVAL_S)
    # Nothing while the message was in flight, and nothing of the other, where no marker is.
    assert rig.command() == Idle({P0: Finished(2, 1)})


def test_a_bounded_run_moves_its_offsets_itself(rig: PollRig) -> None:
    rig.broker.mark()
    rig.broker.feed(b"behind the end")
    rig.source.ends = {P0: 1, P1: 0}
    rig.broker.committed[P1] = 0
    rig.assign()
    rig.polled(3)
    rig.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: P0 in rig.source.finished, "the end is committed")
    assert len(rig.tagged) == 0
    assert rig.tagged.get(0) is None


def test_a_run_ends_when_what_was_read_is_committed_and_its_markers_are_passed(
    rig: PollRig,
) -> None:
    ended = threading.Event()
    rig.stage._run_ended = ended.set
    rig.broker.feed(b"a", b"b")
    rig.broker.mark()
    rig.broker.feed(b"behind the end")
    rig.source.ends = {P0: 3, P1: 0}
    rig.assign()
    assert rig.offsets(2) == [0, 1]
    rig.clock.advance(RUN_INTERVAL_S)
    rig.polled(3)
    assert P0 not in rig.source.finished
    assert not ended.is_set(), "what is in flight may still be lost"

    rig.broker.committed[P0] = 2
    rig.ownership.committed({P0: 2})
    rig.clock.advance(RUN_INTERVAL_S)
    eventually(lambda: P0 in rig.source.finished, "the commit of the end")
    rig.clock.advance(RUN_INTERVAL_S)
    assert ended.wait(PATIENCE_S)
    assert rig.observer.runs[-1].state.is_complete
    assert len(rig.incoming) == 0, "a message behind the end was delivered"


def test_a_worker_without_a_run_has_no_progress(rig: PollRig) -> None:
    rig.broker.feed(b"a")
    rig.assign()
    rig.offsets(1)
    rig.clock.advance(RUN_INTERVAL_S)
    rig.polled(3)
    assert rig.observer.runs == []
    assert rig.source.finished == []
