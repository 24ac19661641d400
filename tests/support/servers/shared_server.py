"""The one server of its kind in a test run, shared by all processes that the run has."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol


class Server(Protocol):
    """A server that was started."""

    @property
    def address(self) -> str:
        """Where it answers."""
        ...

    def kill(self) -> None:
        """End it at once."""

    def stop(self) -> None:
        """Remove what is left of it."""


class SharedServer:
    """Started by the process that asks first, and stopped by it when no other uses it any more.

    Args:
        folder: the same for all processes of the run.
        name: of what it is.
        start: gives a running server, or raises.
    """

    def __init__(self, folder: Path, name: str, start: Callable[[], Server]) -> None:
        self._start = start
        self._address = folder / f"{name}.address"
        self._lock = folder / f"{name}.lock"
        self._users = folder / f"{name}.users"
        self._own_use: IO[str] | None = None
        self._server: Server | None = None

    def address(self) -> str:
        """Where it answers until `close`. Blocks while it starts."""
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._address.exists():
                self._server = self._start()
                self._address.write_text(self._server.address)
            # The system takes a lock back when its process ends, however that ends.
            self._own_use = self._users.open("a")
            fcntl.flock(self._own_use, fcntl.LOCK_SH)
            return self._address.read_text()

    def close(self) -> None:
        """This process needs it no more; the one that started it waits for the others."""
        if self._own_use is not None:
            self._own_use.close()
        if self._server is None:
            return
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._address.unlink()
        with self._users.open("a") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
        # What is in it is of no use any more.
        self._server.kill()
        self._server.stop()
