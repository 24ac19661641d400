"""Windows of work that take turns, and how much of it is left in those that are disturbed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """What was done in a while.

    Attributes:
        work: in any unit that is the same in all windows.
        clock_s: by the clock; cpu_s: of the processor, of the process that did it.
    """

    work: float
    clock_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A disturbed window between two quiet ones."""

    before: Window
    disturbed: Window
    after: Window

    def left(self, *, by_clock: bool) -> float:
        """The rate of the disturbed window as a share of that of both quiet ones, so that what
        changes evenly with time falls out."""
        seconds = "clock_s" if by_clock else "cpu_s"
        quiet = (self.before, self.after)
        rate = sum(one.work for one in quiet) / sum(getattr(one, seconds) for one in quiet)
        return float(self.disturbed.work / getattr(self.disturbed, seconds) / rate)


def spread(shares: Sequence[float]) -> dict[str, float]:
    """The mean of shares, its standard error where there are two or more, and their range."""
    told = {"mean": statistics.mean(shares), "least": min(shares), "most": max(shares)}
    if len(shares) > 1:
        told["error"] = statistics.stdev(shares) / len(shares) ** 0.5
    return told


def percentile(ranked: Sequence[float], percent: float) -> float:
    """Of values in their order, by nearest rank."""
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]
