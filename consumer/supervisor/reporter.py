"""Reporter: a worker's end of the pipe to its supervisor."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import structlog

from consumer.contracts.messages import Outcome
from consumer.contracts.runs import RunProgress
from consumer.settings.schema import Settings
from consumer.supervisor.wire import Failed, FromWorker, Order, Report, Working
from consumer.telemetry.gathered import families_of
from consumer.telemetry.health import Health

log = structlog.get_logger(__name__)

#: Seconds between two reports.
INTERVAL_S = 1.0


class Reporter:
    """Takes the place of the admin port: tells each second what that would show.

    It hears orders too. A supervisor that is gone, however it ended, counts as an order to stop: a
    worker must not go on alone.

    Args:
        pipe: to the supervisor.
        interval_s: seconds between two reports.
    """

    #: It listens on no port.
    port: int | None = None

    #: A page with texts is one worker's alone.
    sent: Callable[[Outcome], None] | None = None

    def __init__(self, pipe: Connection, interval_s: float = INTERVAL_S) -> None:
        self._pipe = pipe
        self._interval_s = interval_s
        self._sending = threading.Lock()
        self._level = 0
        self._run: RunProgress | None = None
        self._registry: Any = None
        self._health: Callable[[], Health] = lambda: Health(True, False)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="nerstream-report", daemon=True)

    def open(self, settings: Settings, registry: Any, health: Callable[[], Health]) -> Reporter:
        """As an endpoint is made: tell of these."""
        del settings
        self._registry, self._health = registry, health
        return self

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Tell a last time, so that nothing that was counted is missing."""
        if not self._closed.is_set():
            self._closed.set()
            self._report()

    def orders(self, signals: Callable[[], int]) -> int:
        """How many signals to end count: of a person's or a service manager's, which may go to the
        supervisor as well, one; the second is the supervisor's to give."""
        return max(self._level, min(signals(), 1))

    def show(self, run: RunProgress | None) -> None:
        """How far the bounded run is."""
        self._run = run

    def works(self, room: int | None) -> None:
        """The model is loaded and the producer is ready."""
        self._send(Working(room))

    def failed(self, said: str) -> None:
        """The error that the worker ends with."""
        self._send(Failed(said))

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._report()
            try:
                while self._pipe.poll(self._interval_s):
                    self._heed(self._pipe.recv())
                    if self._closed.is_set():
                        return
            except (EOFError, OSError):
                self._supervisor_is_gone()
                return

    def _heed(self, order: Order) -> None:
        self._level = max(self._level, 2 if order is Order.FORCE else 1)

    def _supervisor_is_gone(self) -> None:
        if not self._closed.is_set() and not self._level:
            log.warning("the supervisor is gone; this worker drains and ends")
        self._level = max(self._level, 1)

    def _report(self) -> None:
        try:
            health = self._health()
        except Exception as error:
            log.exception("the health check failed")
            health = Health(False, False, (f"the health check failed: {error!r}",))
        families = () if self._registry is None else families_of(self._registry)
        self._send(Report(health, self._run, families))

    def _send(self, message: FromWorker) -> None:
        with self._sending, contextlib.suppress(OSError):
            self._pipe.send(message)
