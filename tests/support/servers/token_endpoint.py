"""An OIDC token endpoint on the loopback, which gives signed tokens for a client's secret."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from joserfc import jwt

#: Who gets a token, and the secret for it.
CLIENT_ID, CLIENT_SECRET = "newsroom", "the-newsroom-s-secret"


class TokenEndpoint:
    """Answers on entry, until exit.

    Args:
        key: signs the tokens.
        claims: of the tokens, beside their times.
        lifetime_s: seconds for which a token is valid.

    Attributes:
        tokens: those that it has given.
    """

    def __init__(self, key: Any, claims: dict[str, Any], lifetime_s: int = 3_600) -> None:
        self._key, self._claims, self._lifetime_s = key, claims, lifetime_s
        self.tokens: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def properties(self, secret: str = CLIENT_SECRET) -> dict[str, str]:
        """librdkafka's properties to get a token here."""
        return {
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": CLIENT_ID,
            "sasl.oauthbearer.client.secret": secret,
            "sasl.oauthbearer.token.endpoint.url": self.url,
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = endpoint._answer(self.headers.get("Authorization", ""), body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def _answer(self, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        wanted = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {wanted}":
            return 401, {"error": "invalid_client", "error_description": "no such client"}
        if parse_qs(body.decode()).get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        now = int(time.time())
        claims = {**self._claims, "iat": now, "exp": now + self._lifetime_s}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self._key)
        self.tokens.append(token)
        return 200, {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self._lifetime_s,
        }
