"""The worker of a benchmark as a process, and what can be read off it from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from consumer.bench.worker.taggers import TaggerKind
from consumer.contracts.errors import NerstreamError
from consumer.contracts.safe_text import safe
from consumer.kafka.closing import Closing
from consumer.settings.schema import Settings

#: Longest wait, in seconds, for a model to load, a group to form, or a worker to drain.
PATIENCE_S = 120.0

#: What the worker logs at the end of each part of its start.
_START_EVENTS = {
    "imports_s": "starting",
    "model_s": "model loaded",
    "producer_s": "producer ready",
    "group_s": "partitions assigned",
}

_MODULE = ("-m", "consumer.bench.worker.child")


class WorkerFailed(NerstreamError):
    """The worker that was to be measured ended, or is not ready.

    Args:
        problem: what it did.
        log: the end of what it said.
    """

    def __init__(self, problem: str, log: str) -> None:
        super().__init__(f"{problem}: {log}")
        self._told = (problem, *log.splitlines())

    @property
    def lines(self) -> Sequence[str]:
        return tuple(map(safe, self._told))


@dataclass(frozen=True, slots=True)
class Reading:
    """The worker's own counters at a moment.

    Attributes:
        at: clock reading in seconds.
        cpu_s: processor time that the process has used.
        samples: value of each sample, by its name with labels as the text format writes them.
    """

    at: float
    cpu_s: float
    samples: dict[str, float] = field(default_factory=dict)

    def value(self, name: str, labels: str = "") -> float:
        """A sample; 0 where there is none."""
        return self.samples.get(f"{name}{labels}", 0.0)

    def total(self, name: str) -> float:
        """The sum of a metric's samples, whatever their labels."""
        return sum(
            value for sample, value in self.samples.items() if sample.partition("{")[0] == name
        )

    @property
    def resolved(self) -> float:
        """Messages whose outcome is final."""
        return (
            self.value("nerstream_articles_published_total")
            + self.value("nerstream_tombstones_published_total")
            + self.total("nerstream_messages_rejected_total")
        )


def tagger_alone(
    settings: Settings, kind: TaggerKind, values: list[bytes], seconds: float
) -> dict[str, float]:
    """Run the tagger by itself, in a process of its own; see `consumer.bench.worker.alone`.

    Raises:
        NerstreamError: the process failed.
    """
    with TemporaryDirectory(prefix="nerstream-bench-") as folder:
        path = Path(folder, "articles.jsonl")
        path.write_bytes(b"\n".join(values))
        done = subprocess.run(
            [sys.executable, *_MODULE, "alone", kind.value, str(path), str(seconds)],
            input=settings.model_dump_json().encode(),
            capture_output=True,
            check=False,
        )
    if done.returncode != 0:
        raise NerstreamError(f"the tagger alone failed: {done.stderr.decode(errors='replace')}")
    figures: dict[str, float] = orjson.loads(done.stdout)
    return figures


class BenchWorker(Closing):
    """Starts a worker; it is stopped, or killed, by `close`.

    Args:
        settings: the worker's; its endpoints take a free port, its log is kept in a file.
        kind: how much of the tagger runs.

    Raises:
        NerstreamError: it does not start.
    """

    def __init__(self, settings: Settings, kind: TaggerKind) -> None:
        self._folder = TemporaryDirectory(prefix="nerstream-bench-")
        self._log = Path(self._folder.name, "worker.log")
        changes = {"admin_host": "127.0.0.1", "admin_port": 0, "log_format": "json"}
        given = Settings.model_validate(settings.model_dump() | changes)
        self._started = time.time()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *_MODULE, "worker", kind.value],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(given.model_dump_json().encode())
        self._process.stdin.close()
        self._port = 0

    def wait_ready(self) -> dict[str, float]:
        """Until `/readyz` is green.

        Returns:
            Seconds from the start of the process until then (`total_s`), and of each part: until
            its own modules are imported, until the model is loaded, until the producer is ready,
            until the group has given it partitions.
        """
        while self._get("/readyz")[0] != 200:
            self._check()
            if time.time() - self._started > PATIENCE_S:
                raise WorkerFailed("the worker is not ready", self._tail())
            time.sleep(0.05)
        parts, before = {"total_s": time.time() - self._started}, self._started
        for name, event in _START_EVENTS.items():
            at = self._time_of(event) or before
            parts[name], before = at - before, at
        return parts

    def read(self) -> Reading:
        """Its counters now."""
        self._check()
        _, text = self._get("/metrics")
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return Reading(time.monotonic(), self.cpu_s, samples)

    @property
    def cpu_s(self) -> float:
        """Processor time that its process has used."""
        stat = Path("/proc", str(self._process.pid), "stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def admin_port(self) -> int:
        """Where its endpoints are; 0 before it is ready."""
        return self._port

    @property
    def peak_bytes(self) -> int:
        """The most memory that it ever held, as the kernel counts it."""
        status = Path("/proc", str(self._process.pid), "status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def join(self) -> None:
        """Wait until it has drained.

        Raises:
            NerstreamError: it did not end with 0.
        """
        code = self._process.wait(PATIENCE_S)
        if code != 0:
            raise WorkerFailed(f"the worker ended with {code}", self._tail())

    def close(self) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _check(self) -> None:
        code = self._process.poll()
        if code is not None:
            raise WorkerFailed(f"the worker ended with {code}", self._tail())

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-3_000:]

    def _get(self, path: str) -> tuple[int, str]:
        if not self._port and not self._find_port():
            return 0, ""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}{path}", timeout=30
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, ""

    def _find_port(self) -> bool:
        self._port = int(self._event("starting").get("admin_port", 0))
        return self._port > 0

    def _time_of(self, name: str) -> float | None:
        """When it logged this event, in seconds since the epoch."""
        found = self._event(name).get("timestamp")
        return None if found is None else datetime.fromisoformat(found).timestamp()

    def _event(self, name: str) -> dict[str, Any]:
        """The first line of its log with this event."""
        for line in self._log.read_bytes().splitlines():
            if line.startswith(b"{") and line.endswith(b"}"):
                found: dict[str, Any] = orjson.loads(line)
                if found.get("event") == name:
                    return found
        return {}
