"""Units: how long one piece of work of a stage takes, and how busy the stage is.

A unit is counted whole at its end. Where it takes longer than an interval, the interval of its end
holds more seconds of work than it has, and those before hold none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from consumer.telemetry.live.point import Point

#: Units over which a share is taken, so that it does not move with each end of one.
_UNITS = 3
#: A stage that ended nothing for so many units rests, or hangs; until then it works on the next.
_AWAITED = 1.5


def apart(now: Point, points: Sequence[Point]) -> list[Point]:
    """The latest seconds and those before them, the newest first, each second once.

    Args:
        now: the latest seconds; points may hold some of them too.
        points: those before, the oldest first.
    """
    begins = now.at - now.seconds + 0.01
    return [now, *(point for point in reversed(points) if point.at <= begins)]


def last_unit_s(stage: str, newest_first: Sequence[Point]) -> float | None:
    """Seconds that a unit of the stage took of late; None where none has ended."""
    return next(_units(stage, newest_first), None)


def longest_unit_s(stage: str, newest_first: Sequence[Point]) -> float | None:
    """Seconds of the longest of the latest units; None where none has ended."""
    return max(islice(_units(stage, newest_first), _UNITS), default=None)


def busy_of(stage: str, newest_first: Sequence[Point]) -> float:
    """The share of its time that a stage works, 0 to 1: of the latest interval, or of some units
    where those take longer; each unit counts in the seconds in which it was worked on.

    Args:
        newest_first: intervals as `apart` gives them; the first is the one that is asked for.
    """
    unit_s = longest_unit_s(stage, newest_first) or 0.0
    carried_s = worked_s = seconds = 0.0
    looked = newest_first[_begun(stage, newest_first, unit_s) :]
    for number, point in enumerate(looked):
        # Before its first unit it had not begun to work.
        if not carried_s and not any(one.worked.get(stage) for one in looked[number:]):
            break
        carried_s += point.worked.get(stage, 0.0)
        inside_s = min(carried_s, point.seconds)
        carried_s -= inside_s
        worked_s += inside_s
        seconds += point.seconds
        if seconds >= _UNITS * unit_s:
            break
    return worked_s / seconds if seconds else 0.0


def _begun(stage: str, newest_first: Sequence[Point], unit_s: float) -> int:
    """How many intervals to leave out because the unit that is worked on in them has not ended."""
    silent_s = 0.0
    for number, point in enumerate(newest_first):
        if point.worked.get(stage):
            return number
        silent_s += point.seconds
        if silent_s > _AWAITED * unit_s:
            break
    return 0


def _units(stage: str, newest_first: Sequence[Point]) -> Iterator[float]:
    return (point.unit_s[stage] for point in newest_first if stage in point.unit_s)
