"""An admin server on the loopback, whose health can be set, and clients that speak as they like."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter

from consumer.telemetry.admin import AdminServer, Page
from consumer.telemetry.admin.connection import Limits
from consumer.telemetry.health import Health

GOOD = Health(alive=True, ready=True)

#: Seconds that a client waits for what must come.
PATIENCE_S = 120.0


class Reply:
    """A response, read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()


class AdminRig:
    """A running server; `health` may be set, to an error too."""

    def __init__(
        self,
        pages: Mapping[str, Page] | None = None,
        *,
        tls: tuple[Path, Path] | None = None,
        credentials: Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        Counter("things", "Things.", registry=self.registry).inc(3)
        self.health: Health | Exception = GOOD
        self.server = AdminServer(
            *("127.0.0.1", 0, self.registry, self._look, pages),
            tls=tls,
            credentials=credentials,
            limits=limits,
        )
        self.server.start()

    def _look(self) -> Health:
        if isinstance(self.health, Exception):
            raise self.health
        return self.health

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        context: ssl.SSLContext | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        address = ("127.0.0.1", self.server.port)
        if context is None:
            connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        else:
            connection = http.client.HTTPSConnection(
                "localhost", address[1], timeout=PATIENCE_S, context=context
            )
        with contextlib.closing(connection):
            connection.request(method, path, body=body or None, headers=dict(headers or {}))
            return Reply(connection.getresponse())

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection that says nothing yet."""
        address = ("127.0.0.1", self.server.port)
        return socket.create_connection(address, timeout=PATIENCE_S, source_address=(source, 0))

    def say(self, raw: bytes) -> bytes:
        """All that comes back until the server ends the connection."""
        with self.connect() as client:
            client.sendall(raw)
            return everything(client)


@contextlib.contextmanager
def admin_rig(
    pages: Mapping[str, Page] | None = None,
    *,
    tls: tuple[Path, Path] | None = None,
    credentials: Path | None = None,
    limits: Limits | None = None,
) -> Iterator[AdminRig]:
    """A rig that is closed at the end."""
    rig = AdminRig(pages, tls=tls, credentials=credentials, limits=limits)
    try:
        yield rig
    finally:
        rig.server.close()


def everything(client: socket.socket) -> bytes:
    """What comes until the other side ends, or breaks off."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(65_536):
            received += piece
    return bytes(received)
