"""How far a reading or a replay is, on standard error where that is a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from consumer.console import SafeConsole
from consumer.contracts.safe_text import safe

#: How often the bar moves.
_INTERVAL_S = 0.1


class Bar:
    """A bar for what is read, then one for what is sent; nothing but `status` without a terminal.

    `consumer.dead_letters.ports.Progress` is the contract.
    """

    def __init__(self) -> None:
        self._console = SafeConsole(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[rate]:,.0f} a second"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._reading: TaskID | None = None
        self._sending: TaskID | None = None
        self._total = 0
        self._began_at = self._shown_at = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def reading(self, left: int) -> None:
        """So many offsets are still to be read."""
        if self._reading is None:
            self._total, self._began_at = left, time.monotonic()
            self._reading = self._bar.add_task("reading", total=left, rate=0.0)
        done = max(self._total - left, 0)
        if self._is_due() or left == 0:
            self._bar.update(
                self._reading,
                completed=done,
                description=f"{done:,} of {self._total:,} read",
                rate=self._rate(done),
            )

    def sending(self, sent: int, total: int) -> None:
        """So many letters are sent for good, of so many."""
        if self._sending is None:
            if self._reading is not None:
                self._bar.remove_task(self._reading)
                self._reading = None
            self._began_at = time.monotonic()
            self._sending = self._bar.add_task("sending", total=total, rate=0.0)
        self._bar.update(
            self._sending,
            completed=sent,
            total=total,
            description=f"{sent:,} of {total:,} sent",
            rate=self._rate(sent),
        )

    def status(self, text: str) -> None:
        """A line of its own, above the bar."""
        self._console.print(safe(text), soft_wrap=True)

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._shown_at < _INTERVAL_S:
            return False
        self._shown_at = now
        return True

    def _rate(self, done: int) -> float:
        return done / max(time.monotonic() - self._began_at, 1e-3)
