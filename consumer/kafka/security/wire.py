"""The two requests of Kafka's protocol that a broker answers to anybody, over a socket.

ApiVersions tells that Kafka is spoken; SaslHandshake, which mechanisms of SASL there are.
"""

from __future__ import annotations

import socket
import struct

_API_VERSIONS, _SASL_HANDSHAKE = 18, 17

#: Brokers' error codes.
_UNSUPPORTED_SASL_MECHANISM, _ILLEGAL_SASL_STATE = 33, 34

#: No answer to these is longer.
_MOST_BYTES = 65_536


class NoKafka(Exception):
    """What came is no answer of Kafka's."""


def ask_versions(stream: socket.socket) -> None:
    """Ask which requests are taken; the answer itself does not matter.

    Raises:
        OSError: the connection ends, or nothing comes.
        NoKafka: another protocol is spoken.
    """
    _asked(stream, _API_VERSIONS, 0, b"")


def ask_mechanism(stream: socket.socket, mechanism: str) -> tuple[bool | None, tuple[str, ...]]:
    """Ask for a mechanism of SASL, after `ask_versions`.

    Returns:
        Whether the broker has it, None where it has no SASL at all; and those that it has.

    Raises:
        OSError, NoKafka: as `ask_versions`.
    """
    name = mechanism.encode()
    answer = _asked(stream, _SASL_HANDSHAKE, 1, struct.pack(">h", len(name)) + name)
    try:
        error, count = struct.unpack_from(">hi", answer)
        at, names = 6, []
        for _ in range(count):
            (size,) = struct.unpack_from(">h", answer, at)
            names.append(answer[at + 2 : at + 2 + size].decode())
            at += 2 + size
    except (struct.error, UnicodeDecodeError):
        raise NoKafka from None
    if error == _ILLEGAL_SASL_STATE:
        return None, ()
    return error != _UNSUPPORTED_SASL_MECHANISM, tuple(names)


def _asked(stream: socket.socket, api: int, version: int, body: bytes) -> bytes:
    """The body of an answer."""
    client = b"nerstream"
    head = struct.pack(">hhih", api, version, api, len(client)) + client
    stream.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
    size, number = struct.unpack(">ii", _read(stream, 8))
    if number != api or not 4 <= size <= _MOST_BYTES:
        raise NoKafka
    return _read(stream, size - 4)


def _read(stream: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = stream.recv(size - len(found))
        if not more:
            raise ConnectionError("the connection ended")
        found += more
    return found
