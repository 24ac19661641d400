"""EndSignals: counts the signals that ask the process to end."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_FORCED = b"nerstream: error: forced by a second signal; what is uncommitted will be read again\n"

_ENDING = (signal.SIGTERM, signal.SIGINT)


def end_at_once() -> None:
    """End the process with exit code 1, whatever its threads are in the midst of."""
    try:
        stream = sys.__stderr__.fileno() if sys.__stderr__ else 2
        writable = select.poll()
        writable.register(stream, select.POLLOUT)
        # A pipe that is full, since nobody reads it, would hold the process for ever.
        if writable.poll(0):
            os.write(stream, _FORCED)
    except (OSError, ValueError):
        pass  # it is closed, and nobody can be told
    finally:
        os._exit(1)


class EndSignals:
    """Within its context SIGTERM and SIGINT are counted instead of ending the process.

    Whoever asks for the count sees to the signals. A second one forces at once where nobody has
    asked since the first: the main thread is in something long. A third one forces in any case.
    After the second the old handlers are back, as soon as the main thread runs Python.

    The interpreter calls a handler in the main thread, once it is back from what it does in C, and
    once for all signals of one number that came meanwhile. So the signals are counted by what the
    interpreter writes into a pipe at each, and a thread reads it.

    Args:
        force: what a second signal does that nobody would see. It may be called in any thread.
    """

    def __init__(self, force: Callable[[], None] = end_at_once) -> None:
        self._force = force
        self._forced = False
        self._numbers: list[int] = []
        self._seen = 0
        # A handler may interrupt the main thread while that holds it.
        self._lock = threading.RLock()
        self._before: dict[signal.Signals, signal._HANDLER] = {}
        self._wakeup_before = -1
        self._pipe: tuple[int, int] | None = None
        self._watcher: threading.Thread | None = None

    def __call__(self) -> int:
        """How many have come; the caller sees to them."""
        with self._lock:
            self._read()
            self._seen = len(self._numbers)
            return self._seen

    @property
    def number(self) -> int | None:
        """The first of them."""
        with self._lock:
            self._read()
            return self._numbers[0] if self._numbers else None

    def __enter__(self) -> Self:
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        for number in _ENDING:
            self._before[number] = signal.signal(number, self._note)
        self._watcher = threading.Thread(target=self._watch, name="nerstream-signals", daemon=True)
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()
        assert self._pipe is not None
        assert self._watcher is not None
        reading, writing = self._pipe
        os.close(writing)
        self._watcher.join()
        with self._lock:
            self._read()
            self._pipe = None
        os.close(reading)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self._judge() > 1:
            self._restore()

    def _watch(self) -> None:
        """Read the pipe until its other end is closed."""
        assert self._pipe is not None
        ready = select.poll()
        ready.register(self._pipe[0], select.POLLIN)
        while not any(event & select.POLLHUP for _, event in ready.poll()):
            self._judge()

    def _judge(self) -> int:
        """Count what has come, and force where that is due; the count."""
        with self._lock:
            self._read()
            count = len(self._numbers)
            due = not self._forced and (count > 2 or (count == 2 and self._seen == 0))
            self._forced = self._forced or due
        if due:
            self._force()
        return count

    def _read(self) -> None:
        if self._pipe is None:
            return
        try:
            came = os.read(self._pipe[0], 64)
        except BlockingIOError:
            return
        # Other signals that have handlers are written there too.
        self._numbers.extend([number for number in came if number in _ENDING])

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
            if not self._before:
                signal.set_wakeup_fd(self._wakeup_before)
