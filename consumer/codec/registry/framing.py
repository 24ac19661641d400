"""Confluent's wire format: a zero byte, the id of the schema in four bytes, then the message."""

from __future__ import annotations

import struct

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Headers

#: Bytes before the message.
PREFIX_BYTES = 5

#: Where Confluent's serialisers put a GUID of the schema, when told to, instead of an id in front.
HEADER = "__value_schema_id"

#: What is said of a message that has its schema there: it may begin with any bytes.
_BY_HEADER = frozenset({RejectCode.NOT_FRAMED, RejectCode.UNKNOWN_SCHEMA})

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


def with_header_told(fault: RejectedMessage, headers: Headers) -> RejectedMessage:
    """A rejection; where a header names the message's schema, it says what to do about that."""
    if fault.code not in _BY_HEADER or not any(name == HEADER for name, _ in headers):
        return fault
    return RejectedMessage(
        fault.code,
        f"the schema of the message stands in its header {HEADER}, which is not read; set its"
        " producer to write the id of the schema in front of the message, as it does by default"
        f" ({fault.message})",
    )


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
