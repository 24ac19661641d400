"""Stage: a thread that keeps its exception and tells when it last made progress."""

from __future__ import annotations

import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable


class Stage(ABC):
    """One step of the pipeline, on a thread of its own.

    The verbs: `start` once; `work` runs on the thread until its input ends or it raises; `join`
    waits; `failure` holds what it raised. `progress` and `idle` feed the liveness check.

    Args:
        name: of the thread, the metrics and the log lines.
        clock: monotonic seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self.failure: BaseException | None = None
        self._clock = clock
        self._busy_since: float | None = None
        self._on_end: Callable[[], None] = lambda: None
        # A daemon, so that a forward pass that hangs cannot keep a forced process alive.
        self._thread = threading.Thread(target=self._run, name=f"nerstream-{name}", daemon=True)

    def start(self, on_end: Callable[[], None]) -> None:
        """Begin; `on_end` is called on the stage's thread when it has ended, well or not."""
        self._on_end = on_end
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether it ever began."""
        return self._thread.ident is not None

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; whether it came in time. A stage that never began has ended."""
        if not self.started:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @abstractmethod
    def work(self) -> None:
        """The stage's loop. What it raises becomes `failure`."""

    def progress(self) -> None:
        """Say that something was done and more is at hand. Called by `work`."""
        self._busy_since = self._clock()

    def idle(self) -> None:
        """Say that nothing is at hand, however long that lasts. `work` calls it before it waits."""
        self._busy_since = None

    @property
    def busy(self) -> bool:
        """Whether something is at hand. Any thread."""
        return self._busy_since is not None

    def stalled_s(self) -> float:
        """Seconds since the last progress with work at hand; 0 while idle. Any thread."""
        busy_since = self._busy_since
        return 0.0 if busy_since is None else self._clock() - busy_since

    def stack(self) -> str:
        """Where its thread is now, for the log; empty when it does not run. Any thread."""
        # The number of a thread that has ended may belong to another by now.
        number = self._thread.ident if self.running else None
        frame = None if number is None else sys._current_frames().get(number)
        return "" if frame is None else "".join(traceback.format_stack(frame))

    def _run(self) -> None:
        try:
            self.work()
        except BaseException as failure:  # kept for the main loop, which raises it
            self.failure = failure
        finally:
            self.idle()
            self._on_end()
