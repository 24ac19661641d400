"""A door before a schema registry: one that asks for a password or a certificate, or is shut."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


class RegistryProxy:
    """Passes requests on, once `open` was called; until then nothing listens at its address.

    Args:
        registry: URL of the registry.
        user_info: `name:password` that it asks for; empty asks for none.
        tls: the server's side of TLS; None speaks plain HTTP.

    Attributes:
        requests: method and path of each request that was passed on.
        authorizations: what each request showed.
        answer: what it answers instead of passing on: status and body.
        answers: the same, each once, before all else.
    """

    def __init__(
        self, registry: str, user_info: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self._registry = urlsplit(registry)
        self._user_info = user_info
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None
        # Bound once, so that its address is known before it listens and stays the same.
        self._port = 0
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self.answer: tuple[int, bytes] | None = None
        self.answers: list[tuple[int, bytes]] = []
        self.open()
        self.shut()

    @property
    def url(self) -> str:
        """Its own URL."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://localhost:{self._port}{self._registry.path}"

    def open(self) -> None:
        """Begin to answer."""
        server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        server.daemon_threads = True
        self._port = server.server_address[1]
        if self._tls is not None:
            # The handshake is each connection's own, so that one that fails keeps no other.
            server.socket = self._tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def shut(self) -> None:
        """From now on connections are refused; those that stand are not answered."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                status, kind, answer = proxy._answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass_on

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def _answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, str, bytes]:
        self.authorizations.append(headers.get("Authorization", ""))
        if self.answers:
            status, body = self.answers.pop(0)
            return status, "application/json", body
        if self.answer is not None:
            return self.answer[0], "text/html", self.answer[1]
        if self._user_info:
            wanted = "Basic " + base64.b64encode(self._user_info.encode()).decode()
            if headers.get("Authorization") != wanted:
                return 401, "application/json", b'{"error_code":401,"message":"Unauthorized"}'
        self.requests.append(f"{method} {path}")
        host = http.client.HTTPConnection(self._registry.netloc, timeout=60)
        try:
            sent = {name: headers[name] for name in ("Accept", "Content-Type") if headers[name]}
            host.request(method, path, body or None, sent)
            answer = host.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except OSError:
            return 503, "application/json", b'{"error_code":50003,"message":"no registry"}'
        finally:
            host.close()
