"""How busy a stage is, where a unit of its work takes longer than an interval."""

from __future__ import annotations

import pytest

from consumer.telemetry.live.point import Point
from consumer.telemetry.live.units import apart, busy_of, last_unit_s, longest_unit_s
from tests.support.rigs.live_points import point


def history(unit_s: float, rests_s: float = 0.0, seconds: int = 300) -> list[Point]:
    """Steps of five seconds in which one unit follows the other after a rest."""
    ends = [unit_s + number * (unit_s + rests_s) for number in range(int(seconds / unit_s) + 1)]
    points = []
    for end in range(5, seconds + 1, 5):
        units = sum(end - 5 < one <= end for one in ends)
        unit = {"tag": unit_s} if units else {}
        points.append(point(at=float(end), worked={"tag": units * unit_s}, unit_s=unit))
    return points


def test_each_second_counts_once() -> None:
    now = point(at=12.0, seconds=7.0)
    points = [point(at=5.0), point(at=10.0), point(at=15.0)]
    assert apart(now, points) == [now, points[0]]


@pytest.mark.parametrize("unit_s", [0.5, 2.5, 7.0, 28.0])
@pytest.mark.parametrize("busy", [1.0, 0.5])
def test_a_share_is_the_same_at_each_moment(unit_s: float, busy: float) -> None:
    points = history(unit_s, unit_s * (1 / busy - 1))
    for number in range(30, len(points)):
        share = busy_of("tag", points[number::-1])
        # Where in its interval a unit ended is not known.
        assert busy - 0.25 < share <= min(1.0, busy + 0.25), number


def test_a_share_is_never_more_than_all_of_the_time() -> None:
    long = point(worked={"tag": 48.5}, unit_s={"tag": 48.5})
    assert busy_of("tag", [long]) == 1.0


def test_a_stage_that_rests_is_not_busy() -> None:
    points = history(28.0)
    at = points[-1].at
    for number in range(1, 31):
        points.append(point(at=at + 5 * number, worked={"tag": 0.0}))
    assert busy_of("tag", points[::-1]) == 0.0
    quick = [*history(0.5), point(worked={"tag": 0.0})]
    assert busy_of("tag", quick[::-1]) == 0.0


def test_before_its_first_unit_it_had_not_begun() -> None:
    ended = point(worked={"tag": 40.0}, unit_s={"tag": 40.0})
    idle = [point(worked={"tag": 0.0})] * 100
    assert busy_of("tag", [ended, *idle]) == 1.0
    assert busy_of("tag", [point(), ended, *idle]) == 1.0


def test_a_stage_that_never_worked_is_not_busy() -> None:
    assert busy_of("tag", [point(), point()]) == 0.0
    assert last_unit_s("tag", [point()]) is None
    assert longest_unit_s("tag", [point()]) is None


def test_the_latest_unit_and_the_longest_of_three() -> None:
    lengths = (None, 0.2, None, 9.0, 0.3, 40.0)
    points = [point(unit_s={} if one is None else {"tag": one}) for one in lengths]
    assert last_unit_s("tag", points) == 0.2
    assert longest_unit_s("tag", points) == 9.0
