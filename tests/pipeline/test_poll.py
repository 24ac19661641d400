"""PollStage: reading, back-pressure, rewinds and rebalances; the test is the publisher."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.observer import RebalanceEvent
from consumer.pipeline.inbox import Assigned, Lost, Revoked
from consumer.pipeline.offsets import Rewind
from consumer.pipeline.poll import LAG_INTERVAL_S, LONGEST_STOP_S, PAUSE_AFTER_S
from tests.support.fakes import P0, P1, PATIENCE_S, eventually, in_thread
from tests.support.poll_rig import REVOKE_TIMEOUT_S, PollBench


@pytest.fixture
def bench() -> Iterator[PollBench]:
    one = PollBench()
    yield one
    if one.stage.started:
        one.end()


def test_messages_come_in_order_with_their_assignment(bench: PollBench) -> None:
    bench.broker.feed(b"a", b"bc", None)
    bench.assign()
    messages = bench.read(3)
    assert [message.value for message in messages] == [b"a", b"bc", None]
    assert {message.assignment for message in messages} == {1}
    bench.broker.feed(b"later", partition=P1)
    (later,) = bench.read(1)
    assert (later.position.topic_partition, later.assignment) == (P1, 2)
    assert bench.in_flight.messages == 4
    assert bench.in_flight.size_bytes == 4 * len(b"key") + len(b"abclater")
    assert bench.observer.consumed_messages == 4
    assert bench.observer.consumed_bytes == bench.in_flight.size_bytes
    assert bench.ownership.count == 2


def test_reading_pauses_at_the_bound_and_resumes_well_under_it() -> None:
    bench = PollBench(max_messages=4)
    bench.broker.feed(*[b"a"] * 10)
    bench.assign()
    assert bench.offsets(4) == [0, 1, 2, 3]
    bench.full_for(PAUSE_AFTER_S)
    eventually(lambda: bench.observer.pauses == [True], "the pause")
    bench.in_flight.remove(1, 4)
    bench.polled(5)  # polling goes on, for the sake of the membership
    assert len(bench.incoming) == 0
    bench.in_flight.remove(1, 4)
    assert bench.offsets(2) == [4, 5]
    bench.full_for(PAUSE_AFTER_S)
    eventually(lambda: bench.observer.pauses == [True, False, True], "the next pause")
    assert bench.in_flight.messages == 4
    assert bench.end() is None


def test_reading_pauses_at_the_bytes_too() -> None:
    bench = PollBench(max_bytes=10)
    bench.broker.feed(b"x" * 20)
    bench.assign()
    assert bench.offsets(1) == [0]
    bench.full_for(PAUSE_AFTER_S)
    eventually(lambda: bench.source.paused, "the pause")
    bench.broker.feed(b"y")
    bench.polled()
    assert len(bench.incoming) == 0
    bench.in_flight.remove(1, bench.in_flight.size_bytes)
    assert bench.offsets(1) == [1]
    assert bench.end() is None


def test_room_that_comes_soon_spares_the_pause() -> None:
    bench = PollBench(max_messages=4)
    bench.broker.feed(*[b"a"] * 10)
    bench.assign()
    assert bench.offsets(4) == [0, 1, 2, 3]
    bench.full_for(PAUSE_AFTER_S * 0.9)
    assert len(bench.incoming) == 0
    bench.in_flight.remove(1, 4)
    assert bench.offsets(1) == [4]
    # The bound is reached anew, and with it the time begins anew.
    bench.full_for(PAUSE_AFTER_S * 0.9)
    bench.in_flight.remove(4, 16)
    assert bench.offsets(4) == [5, 6, 7, 8]
    assert bench.observer.pauses == []
    assert bench.end() is None


@pytest.mark.parametrize(
    ("commit_interval_s", "stops_s"), [(0.0, 0.2), (1.0, 2.2), (60.0, LONGEST_STOP_S)]
)
def test_an_open_transaction_is_no_reason_to_pause(
    commit_interval_s: float, stops_s: float
) -> None:
    bench = PollBench(max_messages=4, commit_interval_s=commit_interval_s)
    bench.broker.feed(*[b"a"] * 10)
    bench.assign()
    assert bench.offsets(4) == [0, 1, 2, 3]
    bench.full_for(stops_s * 0.95)
    assert not bench.source.paused
    bench.full_for(stops_s * 0.1)
    eventually(lambda: bench.observer.pauses == [True], "the pause")
    assert bench.end() is None


def test_a_rewind_brings_messages_back_under_a_new_number(bench: PollBench) -> None:
    bench.broker.feed(b"a", b"b", b"c")
    bench.assign()
    assert bench.offsets(3) == [0, 1, 2]
    bench.stage.rewind({P0: Rewind(1, 1)})
    assert bench.command() == Assigned({P0: 3})
    again = bench.read(2)
    assert [(message.position.offset, message.assignment) for message in again] == [(1, 3), (2, 3)]
    assert bench.ownership.owns({P0: 3, P1: 2})


def test_a_rewind_of_a_partition_that_went_away_does_nothing(bench: PollBench) -> None:
    bench.assign()
    bench.source.lose(P0)
    assert bench.command() == Lost((P0,))
    bench.stage.rewind({P0: Rewind(0, 1)})
    assert bench.command() == Assigned({})
    assert not bench.ownership.owns({P0: 1})


def test_a_rewind_from_before_a_partition_came_back_does_nothing(bench: PollBench) -> None:
    bench.broker.feed(b"a", b"b", b"c")
    bench.assign()
    assert bench.offsets(3) == [0, 1, 2]
    bench.source.lose(P0)
    assert bench.command() == Lost((P0,))
    bench.broker.committed[P0] = 2  # by the worker that had it meanwhile
    bench.source.assign(P0)
    assert bench.command() == Assigned({P0: 3})
    bench.stage.rewind({P0: Rewind(0, 1)})
    assert bench.command() == Assigned({})
    assert bench.offsets(1) == [2]
    bench.polled()
    assert len(bench.incoming) == 0


def test_a_revoke_waits_until_the_publisher_is_done(bench: PollBench) -> None:
    bench.assign()
    revoked = bench.source.revoke(P0)
    command = bench.command()
    assert isinstance(command, Revoked)
    assert command.partitions == (P0,)
    assert not revoked.is_set()
    assert bench.ownership.owns({P0: 1})  # the last commit is still allowed
    command.done.set()
    assert revoked.wait(PATIENCE_S)
    assert not bench.ownership.owns({P0: 1})
    assert bench.ownership.owns({P1: 2})
    assert bench.observer.rebalances == [
        (RebalanceEvent.ASSIGNED, 2),
        (RebalanceEvent.REVOKED, 1),
    ]
    assert set(bench.observer.moved) == {P1}


def test_a_revoke_goes_on_after_its_deadline_and_gives_up_the_ownership(bench: PollBench) -> None:
    bench.assign()
    revoked = bench.source.revoke(P0)
    command = bench.command()
    assert isinstance(command, Revoked)
    bench.clock.advance(REVOKE_TIMEOUT_S - 1)
    assert not revoked.wait(0.05)
    bench.clock.advance(1)
    assert revoked.wait(PATIENCE_S)
    assert not bench.ownership.owns({P0: 1})


def test_the_source_serves_other_threads_while_a_revoke_waits(bench: PollBench) -> None:
    bench.assign()
    revoked = bench.source.revoke(P0)
    command = bench.command()
    assert isinstance(command, Revoked)
    assert in_thread(bench.source.group_metadata).result(PATIENCE_S) is not None
    assert not revoked.is_set()
    command.done.set()
    assert revoked.wait(PATIENCE_S)


def test_a_revoke_does_not_wait_for_a_publisher_that_has_ended(bench: PollBench) -> None:
    bench.assign()
    revoked = bench.source.revoke(P0)
    bench.command()
    bench.drained.set()
    assert revoked.wait(PATIENCE_S)


def test_lost_partitions_are_given_up_before_the_publisher_hears_of_it(bench: PollBench) -> None:
    bench.assign()
    bench.source.lose(P0)
    assert bench.command() == Lost((P0,))
    assert not bench.ownership.owns({P0: 1})
    assert bench.observer.rebalances[-1] == (RebalanceEvent.LOST, 1)
    assert bench.tagged.get(timeout_s=0) is None


def test_a_stop_ends_reading_but_keeps_the_membership_until_drained(bench: PollBench) -> None:
    bench.broker.feed(b"a")
    bench.assign()
    assert bench.offsets(1) == [0]
    bench.stage.stop()
    assert bench.ends()
    bench.broker.feed(b"b")
    bench.polled()
    assert not bench.source.closed
    assert bench.in_flight.messages == 1
    bench.drained.set()
    assert bench.stage.join(PATIENCE_S)
    assert bench.source.closed
    assert bench.stage.failure is None
    assert bench.tagged.get(timeout_s=0) is None  # nobody is left to ask for a last commit


def test_a_revoke_during_the_drain_is_still_served(bench: PollBench) -> None:
    bench.assign()
    bench.stage.stop()
    assert bench.ends()
    revoked = bench.source.revoke(P0)
    command = bench.command()
    assert isinstance(command, Revoked)
    command.done.set()
    assert revoked.wait(PATIENCE_S)


def test_a_publisher_that_ends_by_itself_ends_the_reading(bench: PollBench) -> None:
    bench.assign()
    bench.drained.set()
    assert bench.stage.join(PATIENCE_S)
    assert bench.source.closed


def test_a_source_that_fails_ends_the_stage_and_leaves_the_group(bench: PollBench) -> None:
    failure = KafkaProblem("fenced")
    bench.source.failures.append(failure)
    bench.start()
    assert bench.stage.join(PATIENCE_S)
    assert bench.stage.failure is failure
    assert bench.source.closed


def test_lag_is_told_past_markers_and_freshness_at_the_end(bench: PollBench) -> None:
    bench.broker.feed(b"a", b"b", b"c")
    bench.broker.mark()
    bench.assign()
    assert bench.offsets(3) == [0, 1, 2]
    bench.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: bench.observer.lags == {P0: 4, P1: 0}, "the lag of what is uncommitted")
    bench.ownership.committed({P0: 2})
    bench.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: bench.observer.lags == {P0: 2, P1: 0}, "the lag of the last message")
    bench.observer.moved.clear()
    bench.ownership.committed({P0: 3})
    bench.clock.advance(LAG_INTERVAL_S)
    eventually(lambda: bench.observer.lags == {P0: 0, P1: 0}, "no lag")
    eventually(lambda: bench.observer.moved == {P0: 5.0, P1: 5.0}, "fresh at the end")
    assert bench.observer.load == (3, bench.in_flight.size_bytes)
