"""Confluent's wire format: a zero byte, the id of the schema in four bytes, then the message."""

from __future__ import annotations

import struct

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage

#: Bytes before the message.
PREFIX_BYTES = 5

_MAGIC = 0
_PREFIX = struct.Struct(">bI")

#: Bytes of a wrong beginning that an error shows.
_SHOWN_BYTES = 8


def schema_id_of(value: bytes) -> int:
    """The id of the schema that this value was written with.

    Raises:
        RejectedMessage: not_framed.
    """
    if len(value) < PREFIX_BYTES or value[0] != _MAGIC:
        raise RejectedMessage(
            RejectCode.NOT_FRAMED,
            f"{_found(value)}; a message of a schema registry begins with a zero byte and the id"
            " of its schema in four bytes",
        )
    return int(_PREFIX.unpack_from(value)[1])


def prefix(schema_id: int) -> bytes:
    """What stands before a message that was written with this schema."""
    return _PREFIX.pack(_MAGIC, schema_id)


def _found(value: bytes) -> str:
    if not value:
        return "the value is empty"
    if value.lstrip()[:1] in (b"{", b"["):
        return "the value looks like JSON without a schema (input_format=json reads that)"
    if value[0] == _MAGIC:
        return f"the value has only {len(value)} bytes ({value.hex(' ')})"
    shown = value[:_SHOWN_BYTES].hex(" ")
    more = " …" if len(value) > _SHOWN_BYTES else ""
    return f"the value begins with the bytes {shown}{more}"
