"""`nerstream health`, asked of a real admin port."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from consumer import cli
from consumer.telemetry.admin import AdminServer
from consumer.telemetry.health import Health
from tests.support.processes.first_process import first_process
from tests.support.servers.certificates import Authority


@contextmanager
def worker(
    *, alive: bool = True, ready: bool = True, tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """An admin port; gives its number."""
    state = Health(alive, ready, () if alive and ready else ("a reason",))
    server = AdminServer("127.0.0.1", 0, CollectorRegistry(), lambda: state, tls=tls)
    server.start()
    with closing(server):
        yield str(server.port)


def test_a_worker_that_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with worker(ready=False) as port:
        assert cli.main(["health", "--admin-port", port]) == 0
        assert '"alive":true' in capsys.readouterr().out
        assert cli.main(["health", "--ready", "--admin-port", port]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"http://127.0.0.1:{port}/readyz answers 503" in captured.err
    assert "a reason" in captured.err


def test_a_worker_that_is_stalled_or_gone(capsys: pytest.CaptureFixture[str]) -> None:
    with worker(alive=False) as port:
        assert cli.main(["health", "--admin-port", port]) == 1
    assert f"http://127.0.0.1:{port}/healthz answers 503" in capsys.readouterr().err
    assert cli.main(["health", "--admin-port", port]) == 1
    assert "/healthz does not answer (" in capsys.readouterr().err


def test_who_takes_connections_and_says_nothing_is_not_well(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.commands.health.TIMEOUT_S", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        assert cli.main(["health", "--admin-port", str(port)]) == 1
    assert "does not answer (timed out)" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_the_settings_of_a_file_are_asked_by(tmp_path: Path, host: str) -> None:
    certificate, key = Authority(tmp_path).issue("worker.example.org")
    with worker(tls=(certificate, key)) as port:
        (tmp_path / "worker.toml").write_text(
            f'admin_host = "{host}"\nadmin_port = {port}\n'
            f'admin_tls_cert = "{certificate}"\nadmin_tls_key = "{key}"\n'
        )
        assert cli.main(["health", "--config", str(tmp_path / "worker.toml")]) == 0


@pytest.mark.parametrize("under", [(), ("sh", "-c", '"$0" "$@"; exit 3')])
def test_the_flags_of_a_process_are_taken(tmp_path: Path, under: tuple[str, ...]) -> None:
    with (
        worker() as port,
        first_process(tmp_path, ["--admin-port", port, "--progress"], under=under) as process,
    ):
        assert cli.main(["health", "--of", str(process.pid)]) == 0


def test_without_a_worker_below_the_process_its_own_flags_count(tmp_path: Path) -> None:
    with worker() as port, first_process(tmp_path, ["--admin-port", "1"]) as process:
        assert cli.main(["health", "--of", str(process.pid), "--admin-port", port]) == 1
        gone = process.pid
    assert cli.main(["health", "--of", str(gone), "--admin-port", port]) == 1
    with worker() as port:
        assert cli.main(["health", "--of", str(gone), "--admin-port", port]) == 0


def test_what_cannot_be_asked_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["health", "--admin-port", "0"]) == 2
    assert "--admin-port: is 0, a free port" in capsys.readouterr().err
    assert cli.main(["health", "--of", "none"]) == 2
    assert '"none" is no number of a process' in capsys.readouterr().err
