"""Board: health, numbers and progress of all workers together."""

from __future__ import annotations

import multiprocessing

from consumer.contracts.runs import RunProgress, RunState
from consumer.supervisor.board import Board, Link
from consumer.supervisor.crew import Crew
from consumer.supervisor.wire import Report
from consumer.telemetry.gathered import Family, Sample
from consumer.telemetry.health import Health
from tests.support.fakes import ManualClock

WELL = Health(True, True)
IDLE = Health(True, False, ("no partition is assigned",))
STUCK = Health(False, False, ("stage publish has made no progress",))


class Rig:
    """A board of three workers, which are at work."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.board = Board(self.clock)
        self.crew = Crew(3, is_bounded=False, silent_s=60.0, drain_s=30.0)

    def begin(self) -> None:
        self.board.crew = self.crew
        for number in (1, 2, 3):
            self.crew.begun(number, 0.0)
            self.crew.works(number, 0.0)

    def tell(self, number: int, health: Health, run: RunProgress | None = None) -> None:
        pipe, _ = multiprocessing.Pipe()
        families = (Family("consumed", "", "counter", (Sample("consumed", {}, number),)),)
        link = Link(pipe, 100 + number, Report(health, run, families), self.clock())
        self.board.links[number] = link


def test_while_the_model_is_loaded_it_is_alive_and_not_ready() -> None:
    rig = Rig()
    assert rig.board.health() == Health(True, False, ("the model is being loaded",))
    assert rig.board.rows() == {}
    assert rig.board.families() == {}
    assert rig.board.progress() is None


def test_it_is_ready_once_all_have_started_and_one_has_partitions() -> None:
    rig = Rig()
    rig.board.crew = rig.crew
    rig.crew.begun(1, 0.0)
    rig.crew.works(1, 0.0)
    rig.tell(1, WELL)
    assert not rig.board.health().ready
    rig.begin()
    rig.tell(2, IDLE)
    rig.tell(3, IDLE)
    health = rig.board.health()
    assert health.ready
    assert health.reasons == tuple(f"worker {n}: no partition is assigned" for n in (2, 3))
    rig.tell(1, IDLE)
    assert not rig.board.health().ready


def test_it_is_alive_while_one_of_them_makes_progress() -> None:
    rig = Rig()
    rig.begin()
    for number in (1, 2, 3):
        rig.tell(number, STUCK)
    assert not rig.board.health().alive
    rig.tell(2, WELL)
    assert rig.board.health().alive
    assert rig.board.health().reasons[0] == "worker 1: stage publish has made no progress"


def test_one_that_is_started_again_keeps_it_from_being_ready() -> None:
    rig = Rig()
    rig.begin()
    for number in (1, 2, 3):
        rig.tell(number, WELL)
    assert rig.board.health() == WELL
    del rig.board.links[2]
    rig.crew.ended(2, -9, "", 5.0)
    health = rig.board.health()
    assert (health.alive, health.ready) == (True, False)
    assert health.reasons == ("worker 2: it is awaited",)
    row = rig.board.rows()[2]
    assert (row.pid, row.state, row.restarts) == (None, "awaited", 1)
    assert rig.board.rows()[1].pid == 101


def test_all_that_stop_are_not_ready() -> None:
    rig = Rig()
    rig.begin()
    rig.tell(1, WELL)
    rig.crew.stop()
    health = rig.board.health()
    assert not health.ready
    assert health.reasons[-1] == "the workers are stopping"


def test_numbers_of_one_that_tells_nothing_are_shown_no_longer() -> None:
    rig = Rig()
    rig.begin()
    rig.tell(1, WELL)
    rig.clock.advance(8.0)
    rig.tell(2, WELL)
    assert rig.board.families().keys() == {1, 2}
    rig.clock.advance(8.0)
    assert rig.board.families().keys() == {2}
    assert rig.board.rows()[1].families == ()


def test_the_furthest_progress_is_the_newest() -> None:
    rig = Rig()
    rig.begin()
    rig.tell(1, WELL, RunProgress(RunState(5, 9, False), 1.0, 4.0))
    rig.tell(2, WELL, RunProgress(RunState(7, 9, False), 1.0, 2.0))
    rig.tell(3, WELL)
    progress = rig.board.progress()
    assert progress is not None
    assert progress.state.done == 7
