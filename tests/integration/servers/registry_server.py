"""Apicurio Registry for the tests: a schema registry that speaks Confluent's API."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.integration.servers.kafka_server import ROOT, START_TIMEOUT_S, free_ports
from tests.integration.servers.lifetime import spawn
from tests.integration.servers.started import wait_until_it_answers
from tests.support.processes.freeze import freeze

#: Where `make registry` puts the jars.
REGISTRY_DIR = ROOT / ".registry"

_JVM = (
    "-Xmx256m",
    # Short-lived and small: the cheapest collector and compiler start fastest.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dquarkus.http.host=127.0.0.1",
    "-Dquarkus.log.level=WARN",
)


class RegistryMissing(Exception):
    """A schema registry cannot be started on this machine; the text says what is missing."""


class RegistryServer:
    """One registry on the loopback, with its schemas in a temporary folder.

    Raises:
        RegistryMissing: on `start`, when Java or the jars are missing.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """Where Confluent's API is."""
        return f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    def start(self) -> Self:
        """Returns when it answers."""
        if not (REGISTRY_DIR / ".installed").exists():
            raise RegistryMissing("Apicurio Registry is not installed; run `make registry`")
        self._folder = Path(tempfile.mkdtemp(prefix="nerstream-registry-"))
        (self._port,) = free_ports(1)
        self._launch()
        return self

    def restart(self) -> None:
        """Start again with the same schemas, at the same address."""
        self._launch()

    def kill(self) -> None:
        """SIGKILL; its schemas stay for `restart`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """From now on it takes connections and answers none, until `go_on`."""
        assert self._process is not None
        freeze(self._process.pid)

    def go_on(self) -> None:
        """It answers again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its schemas."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> None:
        assert self._folder is not None, "the registry was never started"
        home = os.environ.get("JAVA_HOME")
        java = str(Path(home, "bin", "java")) if home else shutil.which("java")
        if not java or not Path(java).exists():
            raise RegistryMissing("java is missing; install Java 17 or newer")
        (jar,) = (REGISTRY_DIR / "libs").glob("*-runner.jar")
        options = [
            f"-Dquarkus.http.port={self._port}",
            f"-Dquarkus.datasource.jdbc.url=jdbc:h2:file:{self._folder}/schemas;WRITE_DELAY=0",
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._process = spawn(
                [java, *_JVM, *options, "-jar", str(jar)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        assert self._folder is not None
        log = self._folder / "server.log"
        wait_until_it_answers(
            "Apicurio Registry", self._process, f"{self.address}/subjects", log, START_TIMEOUT_S
        )
