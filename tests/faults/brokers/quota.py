"""A quota of Apache Kafka, which confluent-kafka's admin client cannot set."""

from __future__ import annotations

import socket
import struct

#: Key and version of the request in Kafka's protocol (KIP-546).
_ALTER_CLIENT_QUOTAS = (49, 0)


def set_producer_quota(bootstrap: str, client_id: str, bytes_per_second: int | None) -> None:
    """Limit what the producers of a client id may write; None takes the limit away."""
    value = struct.pack(">d?", float(bytes_per_second or 0), bytes_per_second is None)
    entity = _array(_string("client-id") + _string(client_id))
    operations = _array(_string("producer_byte_rate") + value)
    body = _array(entity + operations) + struct.pack(">?", False)
    request = struct.pack(">hhi", *_ALTER_CLIENT_QUOTAS, 1) + _string("faults-admin") + body
    host, port = bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = _read(connection, struct.unpack(">i", _read(connection, 4))[0])
    # Correlation, throttle time, entries; of the first its error code.
    _, _, entries, code = struct.unpack_from(">iiih", answer)
    if entries != 1 or code:
        raise RuntimeError(f"the quota was refused with error code {code}: {answer!r}")


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _array(only: bytes) -> bytes:
    return struct.pack(">i", 1) + only


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise ConnectionError("the broker closed the connection in mid-answer")
        found += more
    return found
