"""A broker's door on the loopback: TLS or none, SASL or none, and nothing behind it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from typing import Self

_API_VERSIONS, _SASL_HANDSHAKE = 18, 17
_UNSUPPORTED_SASL_MECHANISM, _ILLEGAL_SASL_STATE = 33, 34


class DoorServer:
    """Answers ApiVersions and SaslHandshake, as Apache Kafka does, until exit.

    Args:
        tls: the server's side; None speaks plainly.
        mechanisms: of SASL; None has no SASL.
        babble: answered to whatever comes, instead of all that.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        mechanisms: tuple[str, ...] | None = None,
        babble: bytes = b"",
    ) -> None:
        self._tls, self._mechanisms, self._babble = tls, mechanisms, babble
        self._socket = socket.create_server(("127.0.0.1", 0))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return "localhost", self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # `close` alone leaves the thread in `accept`.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._socket.accept()
            except OSError:
                return
            with stream, contextlib.suppress(OSError, struct.error):
                stream.settimeout(10)
                if self._tls is None:
                    self._answer_all(stream)
                else:
                    with self._tls.wrap_socket(stream, server_side=True) as inner:
                        self._answer_all(inner)

    def _answer_all(self, stream: socket.socket) -> None:
        while head := stream.recv(4):
            if self._babble:
                stream.sendall(self._babble)
                return
            (size,) = struct.unpack(">i", head)
            if not 0 < size < 1_000_000:
                return  # TLS, or anything else
            body = stream.recv(size)
            api, _, number = struct.unpack_from(">hhi", body)
            if api == _API_VERSIONS:
                answer = struct.pack(">hi", 0, 0)
            elif api == _SASL_HANDSHAKE:
                answer = self._handshake(body)
            else:
                return
            stream.sendall(struct.pack(">ii", len(answer) + 4, number) + answer)

    def _handshake(self, body: bytes) -> bytes:
        if self._mechanisms is None:
            return struct.pack(">hi", _ILLEGAL_SASL_STATE, 0)
        (length,) = struct.unpack_from(">h", body, 8)
        asked = body[10 + length + 2 :].decode()
        error = 0 if asked in self._mechanisms else _UNSUPPORTED_SASL_MECHANISM
        names = b"".join(struct.pack(">h", len(one)) + one.encode() for one in self._mechanisms)
        return struct.pack(">hi", error, len(self._mechanisms)) + names
