"""Drain: how long a worker that was told to stop may finish what it has read."""

from __future__ import annotations

from collections.abc import Callable

from consumer.contracts.errors import ShutdownTimeout

#: Share of the timeout after which a drain releases what has not begun, at the latest. The rest is
#: for what is on the device, the last commit, and leaving the group.
LET_GO_AFTER = 0.5

#: Batches that are on the device at once, at most; the rest of the timeout must suffice for them.
BATCHES_UNDER_WAY = 2


class Drain:
    """Begins once. The thread that waits asks what is due; any thread may call `begin`.

    Args:
        timeout_s: longest drain, in seconds.
        clock: monotonic seconds.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float]) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._end_at: float | None = None
        self._has_let_go = False

    @property
    def has_begun(self) -> bool:
        """Whether the worker was told to stop."""
        return self._end_at is not None

    def begin(self) -> bool:
        """The worker is told to stop; False where it was before."""
        if self._end_at is not None:
            return False
        self._end_at = self._clock() + self._timeout_s
        return True

    def lets_go(self, batch_s: float) -> bool:
        """Whether what has not begun is to be let go now; True once.

        Args:
            batch_s: seconds that a batch takes.
        """
        if self._end_at is None or self._has_let_go:
            return False
        kept_s = max(self._timeout_s * (1 - LET_GO_AFTER), BATCHES_UNDER_WAY * batch_s)
        self._has_let_go = self._clock() >= self._end_at - kept_s
        return self._has_let_go

    def overdue(self, uncommitted: int) -> ShutdownTimeout | None:
        """The error to end with once the time is up.

        Args:
            uncommitted: messages in flight, for its text.
        """
        if self._end_at is None or self._clock() <= self._end_at:
            return None
        return ShutdownTimeout(
            f"the drain did not finish within shutdown_timeout_s={self._timeout_s:g}; "
            f"{uncommitted} messages are uncommitted and will be read again"
        )
