"""Prometheus for the tests: scrapes what a test tells it to, and answers questions about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from tests.integration.servers.kafka_server import ROOT, START_TIMEOUT_S, free_ports
from tests.integration.servers.lifetime import spawn
from tests.integration.servers.started import wait_until_it_answers

#: Where `make prometheus` unpacks Debian's package.
PROMETHEUS_DIR = ROOT / ".prometheus"


class PrometheusMissing(Exception):
    """Prometheus cannot be started on this machine; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and its samples as (seconds since the epoch, value)."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def program(name: str) -> Path:
    """`prometheus` or `promtool`: the unpacked one, or the machine's own.

    Raises:
        PrometheusMissing: there is neither.
    """
    unpacked = PROMETHEUS_DIR / "root" / "usr" / "bin" / name
    if (PROMETHEUS_DIR / ".installed").exists() and unpacked.exists():
        return unpacked
    found = shutil.which(name)
    if found is None:
        raise PrometheusMissing(f"{name} is not installed; run `make prometheus`")
    return Path(found)


class PrometheusServer:
    """One Prometheus on the loopback, with its data in a temporary folder.

    Args:
        files: the configuration, as `prometheus.yml`, and what it names, by file name.

    Raises:
        PrometheusMissing: on `start`.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = dict(files)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Returns when it answers."""
        binary = program("prometheus")
        self._folder = Path(tempfile.mkdtemp(prefix="nerstream-prometheus-"))
        self._write(self._files)
        (self._port,) = free_ports(1)
        with (self._folder / "server.log").open("wb") as log:
            self._process = spawn(
                [
                    str(binary),
                    f"--config.file={self._folder}/prometheus.yml",
                    f"--storage.tsdb.path={self._folder}/data",
                    f"--web.listen-address={self.address}",
                    "--log.level=warn",
                    "--web.enable-lifecycle",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
                # It shares two cores with everything else.
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        self._wait_until_ready()
        return self

    def load(self, files: Mapping[str, str]) -> None:
        """Go on with another configuration, which is in force then; what was measured stays."""
        self._write(files)
        request = urllib.request.Request(f"http://{self.address}/-/reload", method="POST")
        with urllib.request.urlopen(request, timeout=60):
            pass

    def stop(self) -> None:
        """End it and forget what it measured."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def query(self, expression: str) -> list[Series]:
        """What an expression gives now: one sample a series.

        Raises:
            AssertionError: Prometheus refuses it.
        """
        answer = self._get("/api/v1/query", query=expression)
        if answer["resultType"] == "scalar":
            return [Series({}, (_sample(answer["result"]),))]
        return [Series(one["metric"], (_sample(one["value"]),)) for one in answer["result"]]

    def query_range(self, expression: str, begin: float, end: float, step_s: float) -> list[Series]:
        """What it gave between two times, in seconds since the epoch, every `step_s`.

        Raises:
            AssertionError: Prometheus refuses it.
        """
        answer = self._get(
            "/api/v1/query_range", query=expression, start=begin, end=end, step=step_s
        )
        return [
            Series(one["metric"], tuple(_sample(pair) for pair in one["values"]))
            for one in answer["result"]
        ]

    def firing(self) -> list[Alert]:
        """The alerts that fire now."""
        return [
            Alert(one["labels"], one["annotations"])
            for one in self._get("/api/v1/alerts")["alerts"]
            if one["state"] == "firing"
        ]

    def _get(self, path: str, **parameters: str | float) -> Any:
        url = f"http://{self.address}{path}?{urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            with refused:
                raise AssertionError(f"{parameters}: {refused.read().decode()}") from None

    def _write(self, files: Mapping[str, str]) -> None:
        assert self._folder is not None
        for name, text in files.items():
            (self._folder / name).write_text(text)

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        assert self._folder is not None
        log = self._folder / "server.log"
        wait_until_it_answers(
            "Prometheus", self._process, f"http://{self.address}/-/ready", log, START_TIMEOUT_S
        )


def _sample(pair: list[Any]) -> tuple[float, float]:
    at, value = pair
    return float(at), float(value)
