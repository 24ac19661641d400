"""Writes records that no client of Python's can: timestamp 0, header names of any bytes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

#: Castagnoli's polynomial, reflected, as the checksum of a batch of records has it.
_POLYNOMIAL = 0x82F63B78

#: Produce, in the oldest version that takes this format of records.
_PRODUCE, _VERSION = 0, 3


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as Kafka's protocol knows it."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    timestamp_ms: int = 0


def produce(bootstrap: str, topic: str, records: Sequence[RawRecord], partition: int = 0) -> None:
    """Write records to a partition that the broker itself leads; it has them on return."""
    batch = _batch(records)
    body = (
        struct.pack(">hhih", _PRODUCE, _VERSION, 7, -1)
        + struct.pack(">hhi", -1, -1, 30_000)
        + struct.pack(">ih", 1, len(topic))
        + topic.encode()
        + struct.pack(">iii", 1, partition, len(batch))
        + batch
    )
    host, port = bootstrap.split(",")[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        answers = connection.makefile("rb")
        (size,) = struct.unpack(">i", answers.read(4))
        answer = answers.read(size)
    # Correlation, one topic with its name, one partition with its number, then the error.
    (error,) = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic) + 4 + 4)
    assert error == 0, f"Kafka's error {error}"


def _batch(records: Sequence[RawRecord]) -> bytes:
    base = records[0].timestamp_ms
    summed = struct.pack(
        ">hiqqqhii",
        *(0, len(records) - 1, base, max(one.timestamp_ms for one in records)),
        *(-1, -1, -1, len(records)),
    ) + b"".join(_record(one, number, base) for number, one in enumerate(records))
    rest = struct.pack(">ibI", -1, 2, _crc32c(summed)) + summed
    return struct.pack(">qi", 0, len(rest)) + rest


def _record(record: RawRecord, number: int, base: int) -> bytes:
    body = (
        b"\0"
        + _varint(record.timestamp_ms - base)
        + _varint(number)
        + _sized(record.key)
        + _sized(record.value)
        + _varint(len(record.headers))
        + b"".join(_sized(name) + _sized(value) for name, value in record.headers)
    )
    return _varint(len(body)) + body


def _sized(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _varint(number: int) -> bytes:
    left = ((number << 1) ^ (number >> 63)) & 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def _crc32c(data: bytes) -> int:
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF
