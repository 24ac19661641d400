"""What the state is called, and why."""

from __future__ import annotations

import re
from typing import Any

import pytest

from consumer.telemetry.health import Health
from consumer.telemetry.live.point import Point
from consumer.telemetry.live.state import State, StateKind, state_of
from tests.support.rigs.live_points import partition, point

GOOD = Health(alive=True, ready=True)
P0, P1 = partition(0), partition(1)


def before(now: Point, seconds: float, **values: object) -> list[Point]:
    """Points every five seconds over so many seconds before one."""
    return [point(at=now.at - back, **values) for back in range(int(seconds), 0, -5)]


def test_flowing_says_how_fast_and_how_late() -> None:
    now = point(published=19.8, p50_s=0.074, lag=12)
    assert state_of(GOOD, now, []) == State(
        StateKind.FLOWING, "News is flowing: 20 messages a second, half of them within 74 ms."
    )


def test_one_message_a_second_is_one_message() -> None:
    state = state_of(GOOD, point(tombstones=1.0), [])
    assert state.sentence == "News is flowing: 1 message a second."


def test_waiting_says_for_what_and_the_rest_below() -> None:
    health = Health(True, False, ("the producer is not ready: no broker", "no partition assigned"))
    assert state_of(health, point(lag=5), []) == State(
        StateKind.WAITING,
        "Waiting: the producer is not ready: no broker.",
        ("No partition assigned.",),
    )
    nothing_said = state_of(Health(True, False), point(), [])
    assert nothing_said.sentence == "Waiting: it is not known for what."


def test_stuck_comes_before_all_else() -> None:
    health = Health(False, False, ("tag stands for 130 s",))
    state = state_of(health, point(published=5.0), [])
    assert state.kind is StateKind.STUCK
    assert state.reasons == ("Tag stands for 130 s.",)


def test_idle_says_for_how_long() -> None:
    now = point()
    assert state_of(GOOD, now, []).sentence == "Nothing has come in yet."
    points = [point(at=now.at - 180, published=3.0), *before(now, 175)]
    assert state_of(GOOD, now, points) == State(
        StateKind.IDLE, "All caught up: nothing has come in for 3 min."
    )


def test_standing_when_messages_wait_and_none_comes_out() -> None:
    now = point(lag=1_203, age_s=42.0, paused=True, in_flight=4_096, blocked=1)
    first = point(at=now.at - 42, published=3.0, unit_s={"tag": 0.2})
    points = [first, *before(now, 40, lag=900)]
    state = state_of(GOOD, now, points)
    assert state.kind is StateKind.STANDING
    assert state.sentence == "Standing for 42 s: 1,203 messages wait, and none comes out."
    assert "A transaction upstream is open on 1 partition" in state.reasons[0]
    assert "Reading is paused: 4,096 messages are in flight" in state.reasons[1]


def test_a_moment_without_an_outcome_is_no_stand() -> None:
    now = point(lag=3, age_s=5.0)
    just_before = [point(at=now.at - 5, published=3.0, lag=4)]
    assert state_of(GOOD, now, just_before) == State(
        StateKind.FLOWING, "News is flowing: 3 messages a second."
    )


def test_what_has_just_come_in_stands_no_longer_than_it_waits() -> None:
    burst = point(lag=5_000, age_s=0.4, seconds=2.5)
    state = state_of(GOOD, burst, [])
    assert state == State(
        StateKind.ARRIVING,
        "News is arriving: 5,000 messages wait, and after 400 ms none has come out yet.",
    )
    # After an empty start, after a quiet minute, and after a silence longer than what is kept.
    one = point(lag=1, age_s=0.2)
    published = point(at=one.at - 96, published=3.0)
    for points in (before(one, 2), [published, *before(one, 90)], before(one, 900)):
        state = state_of(GOOD, one, points)
        assert state.kind is StateKind.ARRIVING
        assert state.sentence.startswith("News is arriving: 1 message waits, and after 200 ms ")
    late = point(lag=1, age_s=10.0)
    assert state_of(GOOD, late, before(late, 90)).sentence.startswith("Standing for 10 s: ")


def test_the_first_batch_may_take_a_minute() -> None:
    """How long one takes is known at its end alone."""
    now = point(lag=500, age_s=28.0, in_flight=64)
    assert state_of(GOOD, now, before(now, 30, lag=500)).kind is StateKind.ARRIVING
    for stands in (point(lag=500, age_s=28.0), point(lag=500, age_s=60.0, in_flight=64)):
        state = state_of(GOOD, stands, before(now, 60, lag=500))
        assert state.kind is StateKind.STANDING


def test_a_slow_model_stands_later() -> None:
    now = point(lag=500, age_s=20.0)
    for batch_s, stands in ((8.0, False), (0.1, True)):
        ended = point(at=now.at - 20, published=3.0, lag=500, unit_s={"tag": batch_s})
        state = state_of(GOOD, now, [ended, *before(now, 15, lag=500)])
        assert (state.kind is StateKind.STANDING) is stands, state


def test_a_short_batch_between_long_ones_changes_no_patience() -> None:
    now = point(lag=500, age_s=25.0)
    lengths = {45: 9.0, 35: 0.2, 25: 0.3}
    points = before(now, 60, lag=500)
    for back, length in lengths.items():
        place = next(n for n, one in enumerate(points) if one.at == now.at - back)
        points[place] = point(
            at=now.at - back, lag=500, published=1.0, unit_s={"tag": length}, age_s=5.0
        )
    assert state_of(GOOD, now, points).kind is StateKind.BEHIND


@pytest.mark.parametrize("batch_s", [8.0, 28.0])
def test_a_slow_model_is_behind_at_every_second(batch_s: float) -> None:
    """Most of its seconds have no outcome, and are no less behind for that."""

    def done(at: float) -> float:
        return 64.0 * (at // batch_s)

    def interval(begin: float, end: float) -> Point:
        ended = done(end) > done(begin)
        return point(
            at=end,
            seconds=end - begin,
            published=(done(end) - done(begin)) / (end - begin),
            lag=int(50_000 - done(end)),
            age_s=end % batch_s,
            unit_s={"tag": batch_s} if ended else {},
            in_flight=128,
        )

    steps = [interval(end - 5.0, float(end)) for end in range(205, 605, 5)]
    kinds = set()
    for second in range(500, 560):
        points = [one for one in steps if one.at <= second]
        start = points[-1].at if second - points[-1].at >= 2.5 else points[-2].at
        state = state_of(GOOD, interval(start, float(second)), points)
        kinds.add(state.kind)
        work = r"messages, (?:(\d+) h ?)?(?:(\d+) min)? of work; caught up in about"
        told = re.search(work.replace(" of", " ?of"), state.sentence)
        assert told is not None, state.sentence
        hours, minutes = told.groups("0")
        work_min = (50_000 - done(second)) / (64 / batch_s) / 60
        assert 0.8 < (60 * int(hours) + int(minutes)) / work_min < 1.25
    assert kinds == {StateKind.BEHIND}


@pytest.mark.parametrize(
    ("earlier", "trend"),
    [
        (18_300, "caught up in about 2 min at this pace"),
        (6_300, "falling further behind, by 100 a second"),
        (12_300, "neither catching up nor falling further behind"),
    ],
)
def test_behind_says_whether_it_catches_up(earlier: int, trend: str) -> None:
    now = point(lag=12_300, published=50.0, busy={"tag": 0.97, "poll": 0.1})
    state = state_of(GOOD, now, before(now, 60, published=50.0, lag=earlier))
    assert state.kind is StateKind.BEHIND
    assert state.sentence == f"Behind by 12,300 messages, 4 min of work; {trend}."
    assert state.reasons == (
        "The stage tag works 97% of the time: more workers or a faster device would help.",
    )


def test_behind_since_a_moment_knows_no_trend() -> None:
    now = point(lag=12_300, published=50.0, busy={"commit": 0.9})
    state = state_of(GOOD, now, [])
    assert "whether it catches up is not known yet" in state.sentence
    assert "Kafka is what it waits for" in state.reasons[0]


@pytest.mark.parametrize("unlike", [{"partitions": 0}, {"lags": {P0: 0}}])
def test_a_backlog_that_was_not_known_before_is_no_falling_behind(unlike: dict[str, Any]) -> None:
    now = point(lag=9_000, published=50.0, partitions=2, lags={P0: 4_000, P1: 5_000})
    known = {"partitions": 2, "lags": {P0: 5_000, P1: 5_000}}
    points = [point(at=now.at - 50, **{**known, **unlike}), *before(now, 40, lag=10_000, **known)]
    assert "caught up in about 6 min at this pace" in state_of(GOOD, now, points).sentence


def test_one_partition_that_stands_while_others_flow() -> None:
    now = point(published=50.0, lag=40, lags={P0: 0, P1: 40}, ages={P0: 300.0, P1: 125.0})
    state = state_of(GOOD, now, [])
    assert state.kind is StateKind.STANDING
    assert state.sentence == (
        "News is flowing, but not everywhere: partition articles/1 has stood for 2 min with "
        "40 messages waiting."
    )


def test_work_that_waits_is_the_same_from_one_slow_batch_to_the_next() -> None:
    """One article in forty seconds, as from the start of a worker on."""
    now = point(at=1_045.0, lag=90, unit_s={"tag": 40.0}, published=0.2)
    points = [point(at=1_000.0), *before(now, 40, lag=90)]
    assert "68 min of work" in state_of(GOOD, now, points).sentence
    while now.at < 1_085.0:
        points.append(now)
        now = point(at=now.at + 5.0, lag=90, in_flight=4, age_s=now.at - 1_040.0)
        assert "68 min of work" in state_of(GOOD, now, points).sentence


def test_a_stand_that_is_over_says_nothing_of_the_pace() -> None:
    now = point(lag=400, published=50.0, unit_s={"tag": 0.1})
    points = [point(at=now.at - 300, lag=100, published=50.0), *before(now, 295, lag=400)]
    assert state_of(GOOD, now, points).sentence.startswith("Behind by 400 messages, 24 s of work;")


def test_a_transaction_may_stay_open_for_long() -> None:
    now = point(lag=300, age_s=14.0, in_flight=300)
    ended = point(at=now.at - 15, lag=100, published=60.0, unit_s={"tag": 0.2})
    points = [ended, *before(now, 10, lag=200, unit_s={"tag": 0.2})]
    assert state_of(GOOD, now, points).kind is StateKind.STANDING
    assert state_of(GOOD, now, points, commit_interval_s=15.0).kind is not StateKind.STANDING


def test_a_partition_may_wait_for_three_slow_batches() -> None:
    now = point(published=0.2, lag=2, lags={P0: 2}, ages={P0: 100.0}, unit_s={"tag": 40.0})
    assert state_of(GOOD, now, []).kind is StateKind.FLOWING
    quick = point(published=5.0, lag=2, lags={P0: 2}, ages={P0: 100.0}, unit_s={"tag": 0.1})
    assert "articles/0 has stood for 100 s" in state_of(GOOD, quick, []).sentence


def test_what_was_idle_before_a_burst_makes_it_no_slower() -> None:
    now = point(lag=800, published=50.0, seconds=2.5, age_s=0.1)
    assert "16 s of work" in state_of(GOOD, now, before(now, 60)).sentence


def test_two_slow_batches_tell_no_trend() -> None:
    now = point(lag=5_000, published=10.0, unit_s={"tag": 28.0})
    state = state_of(GOOD, now, before(now, 60, lag=5_100, published=10.0))
    assert "whether it catches up is not known yet" in state.sentence


def test_what_was_not_as_it_should_be_is_told() -> None:
    now = point(published=5.0, missed=1)
    points = before(now, 10, published=5.0, rejected={"no_text": 2})
    points[0] = point(at=now.at - 15, aborted=3)
    assert state_of(GOOD, now, points).reasons == (
        "3 transactions were aborted and begun again in the last 15 minutes.",
        "1 message was removed from an input topic before it was read.",
        "4% of the messages of the last 15 minutes were rejected.",
    )


def test_seconds_that_two_points_hold_count_once() -> None:
    now = point(published=1.0, aborted=2, seconds=7.5)
    points = [
        point(at=now.at - 7.5, aborted=1),
        point(at=now.at - 2.5, published=1.5, aborted=2),
    ]
    assert state_of(GOOD, now, points).reasons == (
        "3 transactions were aborted and begun again in the last 15 minutes.",
    )


def test_what_was_read_again_is_not_two_messages() -> None:
    """Sixty messages of which three were rejected, after a rebalance that released 28."""
    now = point(consumed=17.6, published=11.4, rejected={"no_text": 3}, released={"revoked": 28})
    assert state_of(GOOD, now, []).reasons == (
        "5% of the messages of the last 15 minutes were rejected.",
    )
