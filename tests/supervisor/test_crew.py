"""Crew: which worker is started, stopped or given up; decided without a process or a clock."""

from __future__ import annotations

import pytest

from consumer.contracts.choices import WorkerState
from consumer.supervisor.crew import (
    BACKOFF_S,
    GONE,
    GRACE_S,
    MAX_BACKOFF_S,
    MOST_ENDS,
    UNWELL_S,
    WINDOW_S,
    Act,
    Crew,
)


def crew(count: int = 3, *, is_bounded: bool = False) -> Crew:
    return Crew(count, is_bounded=is_bounded, silent_s=60.0, drain_s=30.0)


def heard(one: Crew, now: float) -> None:
    """All that run tell that they are well."""
    for number, member in one.members.items():
        if member.runs:
            one.heard(number, True, now)


def working(count: int = 3, *, is_bounded: bool = False) -> Crew:
    """All are at work, at time 0."""
    one = crew(count, is_bounded=is_bounded)
    assert one.due(0.0) == [(Act.START, 1)]
    one.begun(1, 0.0)
    one.works(1, 0.0)
    assert one.due(0.0) == [(Act.START, number) for number in range(2, count + 1)]
    for number in range(2, count + 1):
        one.begun(number, 0.0)
        one.works(number, 0.0)
    assert one.due(0.0) == []
    return one


def test_the_first_shows_that_a_worker_can_start_before_the_others_do() -> None:
    one = crew()
    assert one.due(0.0) == [(Act.START, 1)]
    assert one.due(5.0) == []
    one.begun(1, 5.0)
    assert one.due(9.0) == []
    one.works(1, 10.0)
    assert one.due(10.0) == [(Act.START, 2), (Act.START, 3)]
    assert one.due(10.0) == []


def test_a_worker_may_work_before_it_is_told_that_it_has_a_process() -> None:
    """The two come by different pipes, from different processes."""
    one = crew(1)
    one.due(0.0)
    one.works(1, 1.0)
    one.begun(1, 1.1)
    states = [one.members[1].state]
    one.ended(1, -9, "", 2.0)
    assert one.due(2.0 + BACKOFF_S) == [(Act.START, 1)]
    one.begun(1, 4.0)
    states.append(one.members[1].state)
    assert states == [WorkerState.WORKING, WorkerState.STARTING]


@pytest.mark.parametrize(("code", "exit_code"), [(1, 1), (2, 2), (-9, 1)])
def test_what_keeps_the_first_from_starting_is_told_once(code: int, exit_code: int) -> None:
    one = crew()
    one.due(0.0)
    one.begun(1, 0.0)
    one.ended(1, code, "the topic articles does not exist", 3.0)
    assert one.due(3.0) == []
    assert one.is_over
    assert one.failure is not None
    assert "worker 1 cannot start" in one.failure
    assert "the topic articles does not exist" in one.failure
    assert one.failure_code == exit_code


def test_a_worker_that_ended_is_started_again_later_and_later() -> None:
    one = working()
    waits = []
    now = 100.0
    for _ in range(MOST_ENDS):
        heard(one, now)
        one.ended(2, -9, "", now)
        assert not one.is_over
        due_at = one.members[2].due_at
        assert due_at is not None
        waits.append(due_at - now)
        assert one.due(due_at - 0.1) == []
        assert one.due(due_at) == [(Act.START, 2)]
        now = due_at
        one.begun(2, now)
        one.works(2, now)
    assert waits == [BACKOFF_S * 2**n for n in range(MOST_ENDS)]
    assert max(waits) <= MAX_BACKOFF_S
    assert one.members[2].restarts == MOST_ENDS
    assert one.members[1].restarts == 0


def test_one_that_ends_too_often_is_given_up_and_the_rest_drains() -> None:
    one = working()
    for n in range(MOST_ENDS):
        one.ended(2, 1, "the device broke", float(n))
        one.due(float(n) + 100)
        one.begun(2, float(n))
    one.ended(2, 1, "the device broke", 6.0)
    assert one.due(6.0) == [(Act.STOP, 1), (Act.STOP, 3)]
    assert not one.is_over
    one.ended(1, 0, "", 7.0)
    one.ended(3, 0, "", 7.0)
    assert one.is_over
    assert one.failure is not None
    assert f"worker 2 ended {MOST_ENDS + 1} times within 6 s" in one.failure
    assert "exit code 1: the device broke" in one.failure
    assert one.failure_code == 1


def test_what_happened_long_ago_counts_no_more() -> None:
    one = working()
    now = 0.0
    for _ in range(3 * MOST_ENDS):
        one.ended(2, -9, "", now)
        now += WINDOW_S
        heard(one, now)
        assert one.due(now) == [(Act.START, 2)]
        one.begun(2, now)
    assert one.failure is None


def test_a_wrong_setting_is_not_tried_again() -> None:
    one = working()
    one.ended(2, 2, "no such thing", 5.0)
    assert one.failure_code == 2
    assert one.due(5.0) == [(Act.STOP, 1), (Act.STOP, 3)]


def test_an_order_to_stop_goes_to_all_once_and_no_more_are_started() -> None:
    one = working()
    one.ended(2, -9, "", 1.0)
    one.stop()
    one.stop()
    assert one.due(10.0) == [(Act.STOP, 1), (Act.STOP, 3)]
    assert one.due(11.0) == []
    one.ended(1, 0, "", 12.0)
    assert not one.is_over
    one.ended(3, 0, "", 12.0)
    assert one.is_over
    assert one.failure is None
    assert one.codes() == {1: 0, 2: -9, 3: 0}


def test_one_that_begins_while_all_stop_is_stopped_too() -> None:
    one = crew()
    one.due(0.0)
    one.stop()
    assert one.due(0.0) == [(Act.STOP, 1)], "to a process that may not be there yet"
    one.begun(1, 1.0)
    assert one.due(1.0) == [(Act.STOP, 1)]
    # The signal came before it could hear an order.
    one.ended(1, -15, "", 2.0)
    assert one.codes() == {1: 0}


def test_one_that_does_not_drain_is_killed() -> None:
    one = working(2)
    one.stop()
    heard(one, 100.0)
    assert one.due(100.0) == [(Act.STOP, 1), (Act.STOP, 2)]
    heard(one, 149.0)
    assert one.due(100.0 + 30.0 + GRACE_S) == []
    assert one.due(100.0 + 30.0 + GRACE_S + 1) == [(Act.KILL, 1), (Act.KILL, 2)]
    assert one.due(1_000.0) == []


def test_a_second_signal_forces_all() -> None:
    one = working(2)
    one.stop()
    assert one.due(1.0) == [(Act.STOP, 1), (Act.STOP, 2)]
    one.force()
    assert one.due(2.0) == [(Act.FORCE, 1), (Act.FORCE, 2)]
    assert one.due(1.0 + GRACE_S + 1) == [(Act.KILL, 1), (Act.KILL, 2)]


def test_one_that_is_silent_or_unwell_for_long_is_killed_and_started_again() -> None:
    one = working(3)
    for now in range(0, 60, 5):
        one.heard(1, True, float(now))
        one.heard(2, now < 20, float(now))
        acts = one.due(float(now))
        assert acts == ([(Act.KILL, 2)] if now == 20 + UNWELL_S + 5 else []), now
        if acts:
            break
    one.ended(2, -9, "", 56.0)
    assert one.due(57.0) == [(Act.START, 2)]
    one.begun(2, 57.0)
    one.heard(1, True, 61.0)
    assert one.due(61.0) == [(Act.KILL, 3)]


def test_one_that_is_well_again_is_left_alone() -> None:
    one = working(1)
    for now in range(0, 600, 20):
        one.heard(1, now % 40 == 0, float(now))
        assert one.due(float(now)) == []


def test_the_workers_of_a_bounded_run_end_one_by_one() -> None:
    one = working(3, is_bounded=True)
    one.ended(1, 0, "", 1.0)
    assert not one.is_over
    one.ended(2, 1, "broken", 2.0)
    one.ended(3, 0, "", 2.0)
    assert not one.is_over
    assert one.due(3.0) == [(Act.START, 2)]
    one.begun(2, 3.0)
    one.ended(2, 0, "", 4.0)
    assert one.is_over
    assert one.failure is None
    assert set(one.codes().values()) == {0}


def test_a_worker_that_ends_a_run_of_which_something_was_gone_is_not_started_again() -> None:
    one = working(2, is_bounded=True)
    one.ended(1, GONE, "2,900 were gone", 1.0)
    one.ended(2, GONE, "2,900 were gone", 2.0)
    assert one.is_over
    assert one.failure is None
    assert set(one.codes().values()) == {GONE}


def test_a_run_that_is_complete_needs_the_first_worker_alone() -> None:
    one = crew(3, is_bounded=True)
    one.due(0.0)
    one.begun(1, 0.0)
    one.ended(1, 0, "", 1.0)
    assert one.is_over
    assert one.failure is None


def test_a_device_has_room_for_fewer() -> None:
    one = crew(4)
    one.due(0.0)
    one.begun(1, 0.0)
    one.limit(2)
    one.works(1, 0.0)
    assert one.due(0.0) == [(Act.START, 2)]
    one.limit(0)
    assert set(one.members) == {1, 2}
    assert one.members[2].state is WorkerState.STARTING
