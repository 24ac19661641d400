"""Stage: a thread that keeps what it raised and tells when it last made progress."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from consumer.pipeline.stage import Stage
from tests.support.fakes import PATIENCE_S, ManualClock, eventually


class Working(Stage):
    """Does what it is given."""

    def __init__(self, do: Callable[[Working], None], clock: ManualClock) -> None:
        super().__init__("working", clock)
        self._do = do

    def work(self) -> None:
        self._do(self)


def test_it_runs_on_a_thread_of_its_own_and_tells_its_end() -> None:
    names: list[str] = []
    ended = threading.Event()
    stage = Working(lambda _: names.append(threading.current_thread().name), ManualClock())
    assert not stage.started
    assert not stage.running
    assert stage.join(0)
    stage.start(ended.set)
    assert ended.wait(PATIENCE_S)
    assert stage.join(PATIENCE_S)
    assert stage.started
    assert not stage.running
    assert stage.failure is None
    assert names == ["nerstream-working"]


@pytest.mark.parametrize("failure", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_it_keeps_what_it_raised(failure: BaseException) -> None:
    def fail(_: Working) -> None:
        raise failure

    ended = threading.Event()
    seen: list[BaseException | None] = []

    def end() -> None:
        seen.append(stage.failure)
        ended.set()

    stage = Working(fail, ManualClock())
    stage.start(end)
    assert ended.wait(PATIENCE_S)
    assert stage.join(PATIENCE_S)
    assert stage.failure is failure
    assert seen == [failure]  # known before anyone hears of the end


def test_join_says_that_it_still_runs() -> None:
    gate = threading.Event()

    def wait(_: Working) -> None:
        gate.wait(PATIENCE_S)

    stage = Working(wait, ManualClock())
    stage.start(lambda: None)
    assert not stage.join(0.01)
    assert stage.running
    gate.set()
    assert stage.join(PATIENCE_S)


def test_a_stall_is_time_without_progress_while_busy() -> None:
    clock = ManualClock()
    stage = Working(lambda _: None, clock)
    assert stage.stalled_s() == 0
    stage.progress()
    clock.advance(7)
    assert stage.stalled_s() == 7
    stage.progress()
    assert stage.stalled_s() == 0
    clock.advance(3)
    stage.idle()
    assert stage.stalled_s() == 0


def test_a_stage_that_ended_does_not_stall() -> None:
    clock = ManualClock()
    stage = Working(lambda self: self.progress(), clock)
    stage.start(lambda: None)
    assert stage.join(PATIENCE_S)
    clock.advance(1_000)
    assert stage.stalled_s() == 0


def test_the_stack_says_where_the_thread_is() -> None:
    def wait_for_the_device(_: Stage) -> None:
        gate.wait(PATIENCE_S)

    gate = threading.Event()
    stage = Working(wait_for_the_device, ManualClock())
    assert stage.stack() == ""
    stage.start(lambda: None)
    eventually(lambda: "gate.wait(PATIENCE_S)" in stage.stack(), "it waits")
    assert "in wait_for_the_device" in stage.stack()
    gate.set()
    assert stage.join(PATIENCE_S)
    assert stage.stack() == ""
