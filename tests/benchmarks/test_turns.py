"""What is left of a rate in windows that take turns."""

from __future__ import annotations

import pytest

from benchmarks.turns import Turn, Window, percentile, spread


def test_what_changes_evenly_with_time_falls_out() -> None:
    turn = Turn(Window(100, 1.0, 0.5), Window(88, 1.0, 0.5), Window(60, 1.0, 0.5))
    assert turn.left(by_clock=True) == pytest.approx(1.1)
    assert turn.left(by_clock=False) == pytest.approx(1.1)


def test_by_processor_what_others_took_does_not_count() -> None:
    quiet = Window(100, 1.0, 1.0)
    turn = Turn(quiet, Window(48, 1.0, 0.5), quiet)
    assert turn.left(by_clock=True) == pytest.approx(0.48)
    assert turn.left(by_clock=False) == pytest.approx(0.96)


def test_the_spread_of_shares() -> None:
    assert spread([0.98]) == {"mean": 0.98, "least": 0.98, "most": 0.98}
    found = spread([0.96, 0.98, 1.0])
    assert found["mean"] == pytest.approx(0.98)
    assert (found["least"], found["most"]) == (0.96, 1.0)
    assert found["error"] == pytest.approx(0.02 / 3**0.5)


def test_percentiles_by_nearest_rank() -> None:
    ranked = [float(number) for number in range(100)]
    assert [percentile(ranked, percent) for percent in (0, 50, 99, 100)] == [0, 50, 99, 99]
