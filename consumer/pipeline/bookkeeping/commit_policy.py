"""CommitPolicy: decides when an open transaction is committed. No thread, no clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """A transaction takes what finishes within the interval, but never waits for nothing.

    Attributes:
        interval_s: `commit_interval_ms` in seconds.
    """

    interval_s: float

    def wait_s(
        self, *, opened_at: float, now: float, nothing_upstream: bool, batch_gap_s: float | None
    ) -> float:
        """Seconds until the open transaction should be committed; 0 or less means now.

        Args:
            opened_at, now: clock readings in seconds.
            nothing_upstream: nothing is on its way that could still join.
            batch_gap_s: seconds between the last two batches, None before the second. Where the
                device takes longer for a batch than the interval, none will come in time.
        """
        if nothing_upstream or (batch_gap_s is not None and batch_gap_s > self.interval_s):
            return 0.0
        return opened_at + self.interval_s - now
