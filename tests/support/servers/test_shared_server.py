"""One server for all processes of a run: who starts it, and who stops it when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.fakes import PATIENCE_S, eventually, in_thread
from tests.support.servers.shared_server import SharedServer


class Servers:
    """Counts what is started, and what was stopped."""

    def __init__(self) -> None:
        self.started = 0
        self.stopped: list[str] = []

    def start(self) -> Any:
        self.started += 1
        return Server(f"127.0.0.1:{self.started}", self.stopped)


class Server:
    """One that is none."""

    def __init__(self, address: str, stopped: list[str]) -> None:
        self.address = address
        self._stopped = stopped

    def kill(self) -> None:
        """It has no process."""

    def stop(self) -> None:
        self._stopped.append(self.address)


def test_the_first_starts_it_and_the_others_are_given_it(tmp_path: Path) -> None:
    servers = Servers()
    first, second = (SharedServer(tmp_path, "server", servers.start) for _ in range(2))
    assert first.address() == second.address() == "127.0.0.1:1"
    second.close()
    assert servers.stopped == []
    first.close()
    assert (servers.started, servers.stopped) == (1, ["127.0.0.1:1"])


def test_it_is_stopped_when_nobody_uses_it_any_more(tmp_path: Path) -> None:
    servers = Servers()
    first, second, third = (SharedServer(tmp_path, "server", servers.start) for _ in range(3))
    first.address()
    second.address()
    closing = in_thread(first.close)
    eventually(lambda: not (tmp_path / "server.address").exists(), "the end of the address")
    # Who comes now is given another one.
    assert third.address() == "127.0.0.1:2"
    assert not closing.done()
    assert servers.stopped == []
    third_closing = in_thread(third.close)
    second.close()
    closing.result(PATIENCE_S)
    third_closing.result(PATIENCE_S)
    assert sorted(servers.stopped) == ["127.0.0.1:1", "127.0.0.1:2"]


def test_one_that_was_never_asked_for_is_not_closed(tmp_path: Path) -> None:
    SharedServer(tmp_path, "server", Servers().start).close()
    assert list(tmp_path.iterdir()) == []
