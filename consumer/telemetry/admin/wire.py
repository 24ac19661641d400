"""Wires: what stands between the bytes of a socket and those of HTTP; none, or TLS."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Protocol

from consumer.contracts.errors import SettingsError

#: Bytes that are taken from TLS at once.
_PIECE = 16 * 1024


class WireFailed(Exception):
    """What came is no TLS, or not one that can be spoken; the connection is of no more use."""


class Wire(Protocol):
    """Bytes to and fro; it owns no socket and never waits."""

    def receive(self, raw: bytes) -> bytes:
        """What bytes of the socket say; empty where more are needed.

        Raises:
            WireFailed: they say nothing that can be understood.
        """
        ...

    def send(self, plain: bytes) -> None:
        """Have something sent with the next `to_send`."""
        ...

    def to_send(self) -> bytes:
        """Bytes for the socket."""
        ...

    def end(self) -> None:
        """Have the other side told that nothing more comes."""
        ...


class PlainWire:
    """Nothing between."""

    def __init__(self) -> None:
        self._out = bytearray()

    def receive(self, raw: bytes) -> bytes:
        return raw

    def send(self, plain: bytes) -> None:
        self._out += plain

    def to_send(self) -> bytes:
        raw = bytes(self._out)
        self._out.clear()
        return raw

    def end(self) -> None:
        pass


class TlsWire:
    """TLS, the server's side."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._is_open = False

    def receive(self, raw: bytes) -> bytes:
        self._in.write(raw)
        plain = bytearray()
        try:
            if not self._is_open:
                self._tls.do_handshake()
                self._is_open = True
            while piece := self._tls.read(_PIECE):
                plain += piece
        except ssl.SSLWantReadError:
            return bytes(plain)
        except ssl.SSLError as error:
            raise WireFailed(str(error)) from None
        raise WireFailed("the other side has ended TLS")

    def send(self, plain: bytes) -> None:
        self._tls.write(plain)

    def to_send(self) -> bytes:
        return self._out.read()

    def end(self) -> None:
        # It asks for the other side's end as well, for which nobody waits; or TLS never began.
        with contextlib.suppress(ssl.SSLError, ValueError):
            self._tls.unwrap()


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or later with this certificate, its chain after it, and its key without a password.

    Raises:
        SettingsError: a file cannot be read, or they do not belong together.
    """
    for setting, file in (("admin_tls_cert", certificate), ("admin_tls_key", key)):
        try:
            file.open("rb").close()
        except OSError as error:
            raise SettingsError(
                setting, f"{file} cannot be read ({error.strerror})", "name a file in PEM that can"
            ) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])

    def no_password() -> str:
        raise SettingsError(
            "admin_tls_key",
            f"{key} is locked with a password",
            "write it without one, readable by the worker alone",
        )

    try:
        context.load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        raise SettingsError(
            "admin_tls_cert",
            f"{certificate} and {key} cannot be used ({error.reason or error})",
            "both must be PEM: the certificate, then its chain; and its own key",
        ) from None
    return context
