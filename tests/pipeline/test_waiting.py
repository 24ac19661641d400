"""When the worker says again what it waits for."""

from __future__ import annotations

from consumer.pipeline.waiting import FIRST_S, LEAST_S, MOST_S, Waiting
from tests.support.fakes import ManualClock


def said_at(
    clock: ManualClock, waiting: Waiting, reasons: list[str], seconds: float
) -> list[float]:
    times = []
    end = clock() + seconds
    while clock() < end:
        if waiting.is_due(reasons, False):
            times.append(clock())
        clock.advance(0.5)
    return times


def test_a_reason_is_said_after_a_while_and_then_less_and_less_often() -> None:
    clock = ManualClock()
    start = clock()
    times = said_at(clock, Waiting(clock), ["no partition"], 5_000)
    pauses = [after - before for before, after in zip([start, *times], times, strict=False)]
    assert pauses[:5] == [FIRST_S, FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S]
    assert pauses[-1] == MOST_S
    assert len(times) < 20


def test_a_new_reason_is_said_at_once_but_no_more_than_one_a_second() -> None:
    clock = ManualClock()
    waiting = Waiting(clock)
    clock.advance(FIRST_S)
    assert waiting.is_due(["one"], False)
    clock.advance(LEAST_S / 2)
    assert not waiting.is_due(["two"], False)
    clock.advance(LEAST_S / 2)
    assert waiting.is_due(["two"], False)
    assert not waiting.is_due(["two"], False)
    clock.advance(FIRST_S)
    assert waiting.is_due(["two"], False)


def test_what_is_waited_for_is_said_at_once_where_the_reason_is_known() -> None:
    clock = ManualClock()
    waiting = Waiting(clock)
    assert not waiting.is_due(["no partition"], False)
    assert waiting.is_due(["no partition: none left"], True)
    assert not waiting.is_due(["no partition: none left"], True)
    clock.advance(FIRST_S)
    assert waiting.is_due(["no partition: none left"], True)
