"""Waiting: decides when to log again what the worker waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: Seconds before anything is logged without a reason; most waits are over by then.
FIRST_S = 5.0

#: Least seconds between two lines, also where the reason changes.
LEAST_S = 1.0

#: Most seconds between two lines.
MOST_S = 600.0


class Waiting:
    """A wait is logged when it is new, and again after pauses that double.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: Sequence[str] = ()
        self._first_at = clock() + FIRST_S
        self._quiet_until = self._again_at = clock()
        self._pause_s = FIRST_S

    def is_due(self, waits: Sequence[str], reason_known: bool) -> bool:
        """Whether to say this now; what is due counts as said.

        Args:
            waits: what is waited for.
            reason_known: whether the reason is known as well, so that it is said at once.
        """
        now = self._clock()
        is_new = waits != self._said
        if now < (self._quiet_until if is_new else self._again_at):
            return False
        if not reason_known and now < self._first_at:
            return False
        self._pause_s = FIRST_S if is_new else min(2 * self._pause_s, MOST_S)
        self._said = waits
        self._quiet_until = now + LEAST_S
        self._again_at = now + self._pause_s
        return True
