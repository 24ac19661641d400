"""EndSignals: counts the signals that ask the process to end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_FORCED = b"nerstream: error: forced by a second signal; what is uncommitted will be read again\n"


def end_at_once() -> None:
    """End the process with exit code 1, whatever its threads are in the midst of."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _FORCED)
    os._exit(1)


class EndSignals:
    """Within its context SIGTERM and SIGINT are counted instead of ending the process.

    The handler does no more than that: it may interrupt the main thread while that holds a lock
    which anything longer would need. Whoever asks for the count sees to the signals. A second one
    forces at once where nobody has asked since the first: the main thread is in something long.
    After the second the old handlers are back, so that a third ends the process in any case.

    Args:
        force: what a second signal does that nobody would see.
    """

    def __init__(self, force: Callable[[], None] = end_at_once) -> None:
        self._force = force
        self._count = 0
        self._seen = 0
        #: The first of them.
        self.number: int | None = None
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __call__(self) -> int:
        """How many have come; the caller sees to them."""
        self._seen = self._count
        return self._seen

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

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self.number = self.number or number
        if self._count > 1:
            self._restore()
            if self._seen == 0:
                self._force()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
