"""AdminServer: `/metrics`, `/healthz` and `/readyz` over HTTP, on threads of its own."""

from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from consumer.contracts.errors import SettingsError
from consumer.telemetry.health import Health

log = logging.getLogger(__name__)

#: Seconds that a client may be silent before its connection is closed.
CLIENT_TIMEOUT_S = 10.0

_INDEX = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>nerstream</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem }
dt { font-family: ui-monospace, monospace } dd { margin: 0 0 1rem 0 }
</style>
<h1>nerstream</h1>
<dl>
<dt><a href="/metrics">/metrics</a></dt>
<dd>Metrics for Prometheus, as text or OpenMetrics.</dd>
<dt><a href="/healthz">/healthz</a></dt>
<dd>200 while the worker makes progress, 503 with the reasons when it does not: restart it.</dd>
<dt><a href="/readyz">/readyz</a></dt>
<dd>200 once partitions are assigned, the model is loaded and the producer is ready.</dd>
</dl>
</html>
"""


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = CLIENT_TIMEOUT_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._metrics()
        elif path == "/healthz":
            self._health("alive")
        elif path == "/readyz":
            self._health("ready")
        elif path == "/":
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", _INDEX)
        else:
            self.send_error(HTTPStatus.NOT_FOUND, f"there is no {path} here; see /")

    do_HEAD = do_GET

    def _not_allowed(self) -> None:
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, f"{self.command} is not allowed; use GET")

    do_POST = do_PUT = do_PATCH = do_DELETE = _not_allowed
    do_OPTIONS = do_TRACE = do_CONNECT = _not_allowed

    def _metrics(self) -> None:
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        try:
            body = encode(self.server.registry)
        except Exception:
            log.exception("the metrics cannot be collected")
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, "the metrics cannot be collected")
            return
        self._answer(HTTPStatus.OK, content_type, body)

    def _health(self, question: str) -> None:
        try:
            health = self.server.health()
        except Exception as error:
            # A check that cannot answer is no sign of life.
            log.exception("the health check failed")
            health = Health(False, False, (f"the health check failed: {error!r}",))
        good = health.alive if question == "alive" else health.ready
        body = orjson.dumps({question: good, "reasons": [] if good else health.reasons})
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", body + b"\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Every error is JSON; the connection ends, since a body may still be unread on it."""
        del explain
        status = HTTPStatus(code)
        self.close_connection = True
        body = orjson.dumps({"status": status.value, "error": message or status.phrase})
        self._answer(status, "application/json", body + b"\n")

    def version_string(self) -> str:
        return "nerstream"

    def log_message(self, format: str, *args: Any) -> None:
        """No access log: a scrape every few seconds would bury the worker's own lines."""


class _Server(ThreadingHTTPServer):
    """Gives each connection a thread, so that a slow client holds up nobody else."""

    daemon_threads = True
    #: Closing must not wait for a client that is silent.
    block_on_close = False

    def __init__(
        self,
        address: tuple[str, int],
        registry: CollectorRegistry,
        health: Callable[[], Health],
    ) -> None:
        self.registry = registry
        self.health = health
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Binds without the look-up of the host's full name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name = str(self.server_address[0])
        self.server_port = self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our concern; anything else is logged."""
        del request
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            log.exception("the admin server failed on a request of %s", client_address)


class AdminServer:
    """Serves the metrics and the health of a worker.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        registry: what `/metrics` shows.
        health: asked at each `/healthz` and `/readyz`, on a thread of the server; must be quick.

    Raises:
        SettingsError: the address cannot be listened on (port in use, no such address, no
            permission). The port is taken here, before the model is loaded, not in `start`.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, health: Callable[[], Health]
    ) -> None:
        try:
            self._server = _Server((host, port), registry, health)
        except OSError as error:
            raise _settings_error(host, port, error) from error
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Begin to answer. Returns at once."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="admin", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port. Blocks for a moment; may be called twice."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()


def _settings_error(host: str, port: int, error: OSError) -> SettingsError:
    """Says which setting is to blame."""
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            "admin_port",
            f"port {port} on {host} is already in use",
            "choose another, or 0 to take a free one",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return SettingsError(
            "admin_port", f"port {port} may not be opened", "choose one from 1024 up"
        )
    return SettingsError(
        "admin_host",
        f"{host!r} cannot be listened on ({error})",
        "use 0.0.0.0, 127.0.0.1 or an address of this machine",
    )
