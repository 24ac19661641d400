"""The one Apache Kafka of a test run, shared by all processes that the run has."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tests.integration.kafka_server import KafkaServer


class SharedKafka:
    """Started by the process that asks first, and stopped by it when no other uses it any more.

    Args:
        folder: the same for all processes of the run.
        start: gives a running server, or raises.
    """

    def __init__(self, folder: Path, start: Callable[[], KafkaServer]) -> None:
        self._start = start
        self._address = folder / "kafka.address"
        self._lock = folder / "kafka.lock"
        self._users = folder / "kafka.users"
        self._own_use: IO[str] | None = None
        self._server: KafkaServer | None = None

    def bootstrap_servers(self) -> str:
        """Where it answers until `close`. Blocks while it starts."""
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._address.exists():
                self._server = self._start()
                self._address.write_text(self._server.bootstrap_servers)
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
