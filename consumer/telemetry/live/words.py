"""Numbers as a sentence has them."""

from __future__ import annotations

from consumer.contracts.words import counted


def count(number: float) -> str:
    """A whole number: `12,300`."""
    return f"{round(number):,}"


def several(number: float, one: str, many: str = "") -> str:
    """As `counted`, of a number that a metric tells as a float perhaps."""
    return counted(round(number), one, many)


def rate(number: float) -> str:
    """A rate, with a digit behind the point below ten: `0.4`, `20`, `1,250`."""
    if 0 < number < 0.05:
        return "less than 0.1"
    return f"{number:.1f}".removesuffix(".0") if number < 9.95 else count(number)


def duration(seconds: float) -> str:
    """A time in the unit that fits: `74 ms`, `1.2 s`, `42 s`, `4 min`, `2 h 5 min`, `3 days`."""
    if seconds < 0.9995:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(hours / 24)} days"
