"""Waiting: when to say again what the worker waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: Seconds before anything is said: most of what is waited for at the start comes by then.
FIRST_S = 5.0

#: Seconds at least between two lines, also where the reason changes.
LEAST_S = 1.0

#: Seconds at most between two lines.
MOST_S = 600.0


class Waiting:
    """A reason is said when it is new, and again after pauses that double.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: Sequence[str] = ()
        self._quiet_until = clock() + FIRST_S
        self._again_at = self._quiet_until
        self._pause_s = FIRST_S

    def is_due(self, reasons: Sequence[str]) -> bool:
        """Whether to say these now; what is due counts as said."""
        now = self._clock()
        is_new = reasons != self._said
        if now < (self._quiet_until if is_new else self._again_at):
            return False
        self._pause_s = FIRST_S if is_new else min(2 * self._pause_s, MOST_S)
        self._said = reasons
        self._quiet_until = now + LEAST_S
        self._again_at = now + self._pause_s
        return True
