"""Apache Kafka in KRaft mode for the tests: one process that is broker and controller."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.integration.servers.lifetime import spawn

ROOT = Path(__file__).resolve().parents[3]

#: Where `make kafka` puts the jars.
KAFKA_DIR = ROOT / ".kafka"

#: What `kafka_warmed.py` leaves for later starts: classes as Java has read them, and the storage of
#: a broker that was formatted and never started. Both may be missing.
ARCHIVE = KAFKA_DIR / "classes.jsa"
FORMATTED = KAFKA_DIR / "formatted"

#: Large enough for an article of 10 MB and what the worker adds to it.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

#: A loaded machine of two cores takes its time to start a Java process.
START_TIMEOUT_S = 300.0

#: One broker, quick to start, quick to rebalance and to give up on a lost member or transaction.
_CONFIG: Mapping[str, str | int] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": 1,
    "message.max.bytes": MAX_MESSAGE_BYTES,
    "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,
    "group.consumer.min.session.timeout.ms": 1_000,
    "group.consumer.session.timeout.ms": 10_000,
    "group.consumer.min.heartbeat.interval.ms": 200,
    "group.consumer.heartbeat.interval.ms": 500,
    # A killed broker is let in again only after its old session has ended.
    "broker.session.timeout.ms": 3_000,
    "broker.heartbeat.interval.ms": 500,
    # The default, 0.5 s, costs an idle broker a quarter of its processor time.
    "metadata.max.idle.interval.ms": 10_000,
    # The default, 128 MiB, would be a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
    # Two cores are shared with everything else.
    "num.network.threads": 2,
    "num.io.threads": 4,
}

#: For a broker that nobody kills. Where it had no processor for a moment, or its disk hung, its
#: controller would shut it out, and every group and transaction with it.
STEADY: Mapping[str, str | int] = {"broker.session.timeout.ms": 60_000}

_JVM = (
    "-Xms128m",
    "-Xmx512m",
    # Short-lived and small: the cheapest collector and compiler start fastest.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)


#: A file system in memory, and the bytes that it must have free.
_MEMORY, _MEMORY_BYTES = "/dev/shm", 2 * 1024**3


class KafkaUnavailable(Exception):
    """Apache Kafka cannot be started on this machine; the text says what is missing."""


def find_java() -> str:
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not found or not Path(found).exists():
        raise KafkaUnavailable("java is missing; install Java 17 or newer, then run `make kafka`")
    return found


def archived() -> list[str]:
    """Options by which Java reads Kafka's classes from the archive; `-cp` must name the same jars.

    One that does not fit, as after a change of Java, is left aside without a word.
    """
    if not ARCHIVE.exists():
        return []
    return [f"-XX:SharedArchiveFile={ARCHIVE}", "-Xlog:cds=off,cds+dynamic=off"]


def _has_memory() -> bool:
    try:
        return shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Free loopback ports, all different: every socket is held until the last is known."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _random_id() -> str:
    """As Kafka writes one. One that began with a hyphen would be taken for an option."""
    return "k" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


class KafkaServer:
    """One Apache Kafka broker on the loopback, with its data in a temporary folder.

    Args:
        config: broker properties on top of those above.
        proxy_port: a port on which the test runs a proxy: clients that come by it are told to
            stay with it. The proxy passes on to `proxied_port`.
        joins: a running server whose cluster this one joins, as a broker beside it.
        listeners: more listeners: of each its security protocol and its port; clients are told to
            reach them at `localhost`.
        jvm: more options of the Java process.
        on_disk: keep the data on the disk, as what is much or is measured needs it. Else it is in
            memory, where the machine lets it: a disk that hangs for seconds is a fault of its own,
            after which brokers lose each other, or their controller.

    Raises:
        KafkaUnavailable: on `start`, when Java or the jars are missing.
    """

    def __init__(
        self,
        config: Mapping[str, str | int] | None = None,
        proxy_port: int | None = None,
        joins: KafkaServer | None = None,
        *,
        listeners: Mapping[str, tuple[str, int]] | None = None,
        jvm: Sequence[str] = (),
        on_disk: bool = False,
    ) -> None:
        self._listeners = dict(listeners or {})
        self._jvm = (*_JVM, *jvm)
        self._overrides = dict(config or {})
        self._joins = joins
        self._on_disk = on_disk
        self._cluster_id = _random_id()
        if joins is not None:
            self._cluster_id = joins._cluster_id
        self._proxy_port = proxy_port
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._port, self._controller_port, self.proxied_port = 0, 0, 0

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def address(self) -> str:
        """The same, as `SharedServer` asks for it."""
        return self.bootstrap_servers

    @property
    def pid(self) -> int:
        """Process id of the running broker, for a test that stops it with a signal."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Format the storage and start the broker; returns when it answers."""
        if not (KAFKA_DIR / ".installed").exists():
            raise KafkaUnavailable("Apache Kafka is not installed; run `make kafka`")
        java = find_java()
        parent = _MEMORY if not self._on_disk and _has_memory() else None
        self._folder = Path(tempfile.mkdtemp(prefix="nerstream-kafka-", dir=parent))
        self._port, self._controller_port, self.proxied_port = free_ports(3)
        properties = self._properties(self._folder)
        lines = "".join(f"{name}={value}\n" for name, value in properties.items())
        self._config_file.write_text(lines)
        self.format(java, self._folder / "data")
        self._launch()
        return self

    def format(self, java: str, data: Path) -> None:
        """Kafka's own empty storage: as it was formatted once, or anew, which takes a second."""
        if FORMATTED.exists() and self._joins is None:
            shutil.copytree(FORMATTED, data)
            lines = (data / "meta.properties").read_text().splitlines()
            own = {"cluster.id": self._cluster_id, "directory.id": _random_id()}
            parts = (line.partition("=") for line in lines)
            (data / "meta.properties").write_text(
                "".join(f"{name}{equals}{own.get(name, value)}\n" for name, equals, value in parts)
            )
            return
        done = subprocess.run(
            [
                *(*self._command(java), "kafka.tools.StorageTool", "format"),
                *("-t", self._cluster_id, "-c", str(self._config_file)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"kafka-storage format failed:\n{done.stdout}{done.stderr}")

    def stop(self) -> None:
        """Shut the broker down in an orderly way and remove its data."""
        self.terminate()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def terminate(self, timeout_s: float = 30.0) -> None:
        """Shut the broker down in an orderly way; its data and its port stay for `restart`."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def kill(self) -> None:
        """SIGKILL the broker; its data and its port stay for `restart`."""
        process = self._process
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self._process = None

    def restart(self) -> None:
        """Start again on the same data and port; a broker that still runs is shut down first."""
        self.terminate()
        self._launch()

    def advertise(self, host: str) -> None:
        """Start again, and send clients to another host than the one where the broker is."""
        lines = self._config_file.read_text().splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("advertised.listeners="))
        lines[at] = f"advertised.listeners=PLAINTEXT://{host}:{self._port}"
        self._config_file.write_text("\n".join(lines) + "\n")
        self.restart()

    def log(self, last_bytes: int = 4_000) -> str:
        """The end of what the broker logged."""
        assert self._folder is not None, "the broker was never started"
        file = self._folder / "server.log"
        return file.read_text(errors="replace")[-last_bytes:] if file.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _config_file(self) -> Path:
        assert self._folder is not None, "the broker was never started"
        return self._folder / "server.properties"

    def _properties(self, folder: Path) -> dict[str, str | int]:
        listeners = [f"PLAINTEXT://{self.bootstrap_servers}"]
        advertised = [*listeners]
        protocols = ["CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT"]
        if self._proxy_port is not None:
            listeners.append(f"PROXIED://127.0.0.1:{self.proxied_port}")
            advertised.append(f"PROXIED://127.0.0.1:{self._proxy_port}")
            protocols.append("PROXIED:PLAINTEXT")
        for name, (protocol, port) in self._listeners.items():
            listeners.append(f"{name}://127.0.0.1:{port}")
            advertised.append(f"{name}://localhost:{port}")
            protocols.append(f"{name}:{protocol}")
        role: dict[str, str | int] = {}
        if self._joins is None:
            controller = f"127.0.0.1:{self._controller_port}"
            listeners.append(f"CONTROLLER://{controller}")
        else:
            controller = f"127.0.0.1:{self._joins._controller_port}"
            role = {"process.roles": "broker", "node.id": 2}
        return {
            **_CONFIG,
            **role,
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(protocols),
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(folder / "data"),
            **self._overrides,
        }

    def _command(self, java: str) -> list[str]:
        return [java, *archived(), *self._jvm, "-cp", str(KAFKA_DIR / "libs" / "*")]

    def _launch(self) -> None:
        assert self._folder is not None, "the broker was never started"
        with (self._folder / "server.log").open("ab") as log:
            self._process = spawn(
                [*self._command(find_java()), "kafka.Kafka", str(self._config_file)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                # Ctrl-C ends the tests, which then end the broker; it must outlive their clients.
                start_new_session=True,
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                # In a cluster another broker may answer before this one is let in.
                brokers = admin.list_topics(timeout=1).brokers.values()
                if any(broker.port == self._port for broker in brokers):
                    return
            except KafkaException:
                pass
            code = self._process.poll()
            if code is not None:
                raise RuntimeError(f"Apache Kafka ended with {code}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Apache Kafka did not start:\n{self.log()}")
            # list_topics returns at once while the port is closed.
            time.sleep(0.1)
