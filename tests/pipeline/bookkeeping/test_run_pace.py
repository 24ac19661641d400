"""How fast a bounded run goes, and which partitions are at its end."""

from __future__ import annotations

from consumer.contracts.runs import RunState
from consumer.pipeline.bookkeeping.run_pace import WINDOW_S, RunPace, at_end
from tests.support.fakes import P0, P1


def state(done: int, total: int = 1_000) -> RunState:
    return RunState(done, total, done == total)


def test_the_time_left_follows_the_rate_of_late() -> None:
    pace = RunPace()
    first = pace.note(state(0), 0.0)
    assert (first.rate, first.left_s) == (0.0, None)
    steady = pace.note(state(100), 10.0)
    assert (steady.rate, steady.left_s) == (10.0, 90.0)
    # Half as fast from there on: once the window has passed, only that counts.
    pace.note(state(150), 20.0)
    pace.note(state(200), 30.0)
    slower = pace.note(state(250), 10.0 + WINDOW_S)
    assert (slower.rate, slower.left_s) == (5.0, 150.0)


def test_nothing_moves() -> None:
    pace = RunPace()
    for now in range(0, 200, 10):
        progress = pace.note(state(100), float(now))
    assert (progress.rate, progress.left_s) == (0.0, None)


def test_the_end_has_no_time_left() -> None:
    pace = RunPace()
    pace.note(state(0), 0.0)
    assert pace.note(state(1_000), 10.0).left_s == 0.0
    assert RunPace().note(state(0, 0), 0.0).left_s == 0.0


def test_a_partition_is_at_its_end_when_all_before_it_is_finished() -> None:
    assert at_end({P0: 5, P1: 5}, {P0: 4, P1: 5}) == (P1,)
    assert at_end({P0: 5}, {}) == ()
    assert at_end({}, {P0: 5}) == ()
