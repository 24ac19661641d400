"""Reads header names whole: the client cuts them at a NUL, and fails at one that is not UTF-8.

Kafka's protocol says how long a name is, and allows any bytes. librdkafka keeps names whole, but
hands them out as C strings. It looks a header up by its whole name, though. So a header that
cannot be found by the name that is shown has a longer one.

confluent-kafka gives no access to librdkafka's headers. Their address is read from its message
object, after the layout of that object was checked.
"""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from typing import Any, ClassVar

import confluent_kafka
from confluent_kafka import Message

from consumer.contracts.messages import Headers

_log = logging.getLogger(__name__)

# Calls that only look into memory: it takes longer to give up the interpreter's lock.
_library = ctypes.PyDLL(confluent_kafka.cimpl.__file__)
_by_index = _library.rd_kafka_header_get_all
_by_index.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_void_p,) * 3]
_by_name = _library.rd_kafka_header_get
_by_name.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, *(ctypes.c_void_p,) * 2]


class _Layout(ctypes.Structure):
    """The first fields of confluent-kafka's message, all pointers."""

    #: Whether a message that has something to tell by was seen to be laid out so.
    is_seen: ClassVar[bool] = False

    _fields_ = (
        ("object", ctypes.c_char * object.__basicsize__),
        ("topic", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("key", ctypes.c_void_p),
        ("headers", ctypes.c_void_p),
        ("client_headers", ctypes.c_void_p),
    )


def carried(message: Any) -> Headers | None:
    """The headers of a message that the client can carry; None where it can carry all.

    Ask before the message's own `headers`, which releases those of librdkafka.
    """
    if type(message) is not Message:
        return None
    address = _Layout.from_address(id(message)).client_headers
    # Most messages have none. To look over the layout of each of those would take half as long as
    # all else that is read from it, so that the layout is looked over until it was seen once.
    if address is None and _Layout.is_seen:
        return None
    if not _is_laid_out(message):
        return None
    if message.value() is not None:
        _Layout.is_seen = True
    return None if address is None else _carried(address)


def _is_laid_out(message: Message) -> bool:
    view = _Layout.from_address(id(message))
    shown = (
        (view.topic, message.topic()),
        (view.value, message.value()),
        (view.key, message.key()),
    )
    return all((at or id(None)) == id(one) for at, one in shown) or _warn()


@cache
def _warn() -> bool:
    _log.warning(
        "header names are not looked over: the messages of confluent-kafka %s are of another kind",
        confluent_kafka.version(),
    )
    return False


def _carried(address: int) -> Headers | None:
    name, value, size = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
    where = ctypes.byref(value), ctypes.byref(size)
    place = ctypes.byref(name)
    found: list[tuple[bytes, int | None, int]] = []
    shown: dict[bytes, int] = {}
    number = 0
    while not _by_index(address, number, place, *where):
        one = name.value or b""
        found.append((one, value.value, size.value))
        shown[one] = shown.get(one, 0) + 1
        number += 1
    # Of each name that is shown so many times, is there the last one by its whole name?
    cut = [one for one, count in shown.items() if _by_name(address, count - 1, one, *where)]
    if not cut and all(map(_is_utf8, shown)):
        return None
    kept: list[tuple[str, bytes | None]] = []
    for one, at, length in found:
        if _is_utf8(one) and not (one in cut and at not in _places(address, one)):
            kept.append((one.decode(), None if at is None else ctypes.string_at(at, length)))
    return tuple(kept)


def _places(address: int, name: bytes) -> set[int]:
    """The addresses of the values of all headers with exactly this name. A null has no address, so
    that nobody can tell which of two headers without a value has the name."""
    value, size = ctypes.c_void_p(), ctypes.c_size_t()
    places: set[int] = set()
    number = 0
    while not _by_name(address, number, name, ctypes.byref(value), ctypes.byref(size)):
        number += 1
        if value.value is not None:
            places.add(value.value)
    return places


def _is_utf8(name: bytes) -> bool:
    if name.isascii():
        return True
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
