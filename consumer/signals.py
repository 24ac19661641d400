"""EndSignals: counts the signals that ask the process to end."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self


class EndSignals:
    """Within its context SIGTERM and SIGINT are counted instead of ending the process.

    The handler does no more than that: it may interrupt the main thread while that holds a lock
    which anything longer would need. After the second signal the old handlers are back, so that
    a third ends the process whatever it hangs in.
    """

    def __init__(self) -> None:
        self._count = 0
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __call__(self) -> int:
        """How many have come."""
        return self._count

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
