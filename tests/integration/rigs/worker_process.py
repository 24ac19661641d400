"""`nerstream run` as a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from consumer.settings.secrets import is_secret, without_user
from tests.integration.servers.lifetime import spawn
from tests.support.processes.warm_process import WarmLight, WarmProcess

#: A worker must be ready, and must end, within this; generous, since machines are slow at times.
PATIENCE_S = 300.0

#: Which process has imported what a command needs.
_WARM: Mapping[tuple[str, ...], type[WarmProcess]] = {
    ("-m", "consumer", "run"): WarmProcess,
    ("-m", "tests.faults.workers.device_worker"): WarmProcess,
    ("-m", "tests.faults.workers.faulty_worker"): WarmLight,
    ("-m", "tests.faults.workers.light_worker"): WarmLight,
    ("-m", "tests.faults.workers.light_workers"): WarmLight,
}

#: Begins the last line of a worker that found no broker at its start.
_UNANSWERED = "nerstream: error: no broker answers at "


class EndedEarly(AssertionError):
    """The worker ended before it was ready."""


class WorkerProcess:
    """Starts on entry, is killed on exit if it still runs. Its log lines are JSON in `log`.

    Args:
        settings: `Settings` fields; written as flags.
        folder: where the log goes.
        name: of the log file.
        command: what the interpreter runs, before the flags.
        variables: of the environment, on top of this process's.
        warm: whether it is forked from a process that has imported all that it needs; what a test
            of starting, of the memory or of the arguments of the process would not want.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        folder: Path,
        name: str = "worker",
        command: Sequence[str] = ("-m", "consumer", "run"),
        variables: Mapping[str, str] | None = None,
        *,
        warm: bool = True,
    ) -> None:
        self._settings = {
            "log_format": "json",
            "admin_host": "127.0.0.1",
            "admin_port": 0,
            "threads": 1,
            **settings,
        }
        self._command = command
        kind = _WARM.get(tuple(command)) if warm else None
        self._spawn: Callable[..., subprocess.Popen[bytes]] = spawn if kind is None else kind
        self._variables = dict(variables or {})
        self.log = folder / f"{name}-{time.monotonic_ns()}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def _start(self) -> None:
        flags, secrets = [], {}
        for name, value in self._settings.items():
            if name in ("kafka", "registry", "models"):
                for entry in value.items():
                    if is_secret(entry[0]) or without_user(entry[1]) != entry[1]:
                        # Refused as a flag.
                        variable = f"NERSTREAM_{name}_{entry[0]}".upper().replace(".", "_")
                        secrets[variable] = entry[1]
                    else:
                        flags += [f"--{name}", "=".join(entry)]
            else:
                flags += [f"--{name.replace('_', '-')}", str(value)]
        with self.log.open("wb") as log:
            self._process = self._spawn(
                [sys.executable, *self._command, *flags],
                stdout=log,
                stderr=log,
                env={**os.environ, "HF_HUB_OFFLINE": "1", **secrets, **self._variables},
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, once started."""
        assert self._process is not None
        return self._process

    def events(self) -> list[dict[str, Any]]:
        """The log lines so far, without what is not JSON."""
        events = []
        for line in self.log.read_text("utf-8", "replace").splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                continue
        return [event for event in events if isinstance(event, dict)]

    def has_said(self, event: str) -> bool:
        """Whether the log has this line so far."""
        return any(one["event"] == event for one in self.events())

    def wait_ready(self) -> Self:
        """Until `/readyz` is green.

        A broker that a busy machine gives no processor for ten seconds is none that answers. A
        worker ends then, and whatever runs workers starts it again, as this does.

        Raises:
            EndedEarly: the process ended before for any other reason, with its log.
        """
        deadline, body = time.monotonic() + PATIENCE_S, ""
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                said = self.log.read_text()
                if self.process.returncode != 1 or _UNANSWERED not in said:
                    raise EndedEarly(f"ended early:\n{said}")
                self._port = None
                self._start()
            status, body = self.get("/readyz")
            if status == 200:
                return self
            time.sleep(0.1)
        raise AssertionError(f"not ready in {PATIENCE_S} s: {body}\n{self.log.read_text()}")

    def wait_until(self, holds: Callable[[], object], what: str = "it") -> None:
        """Until something holds that this process brings about; a failure shows its metrics and
        its log."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, (
                f"never came: {what}\n{self.get('/metrics')[1]}\n{self.log.read_text()}"
            )
            time.sleep(0.1)

    def get(self, path: str, token: str = "") -> tuple[int, str]:
        """Status and body of an endpoint, with a bearer token perhaps; status 0 while nothing
        listens."""
        if self._port is None:
            ports = [event["admin_port"] for event in self.events() if "admin_port" in event]
            if not ports:
                return 0, ""
            self._port = int(ports[0])
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            asked = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", headers=headers)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Sum over the labels of one metric, as `/metrics` shows it."""
        _, body = self.get("/metrics")
        found = [
            float(line.rsplit(" ", 1)[1])
            for line in body.splitlines()
            if line.startswith((f"{name} ", f"{name}{{"))
        ]
        assert found, f"{name} is not in /metrics"
        return sum(found)

    def terminate(self) -> int:
        """SIGTERM, then wait for the end; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(PATIENCE_S)
