"""JSON as bytes: parsed strictly with faults that a person understands, and edited in place.

Editing never goes through Python values, so that integers of any size, the spelling of numbers,
the order of names and the white space of the sender stay as they are.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Any

import orjson

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage

#: Arrays and objects that may stand inside one another. An article of the news needs fewer than
#: ten; readers in other languages commonly stop somewhere between 100 and 1,000.
MAX_DEPTH = 128

# Strings are matched whole, so that a bracket or a comma inside one is never taken for structure.
# The possessive `*+` keeps the memory of the match constant over a string of megabytes, and the
# last quote may be missing so that broken text is not searched again from each of its quotes.
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)

#: What may stand in front of a message, and is no part of it.
BYTE_ORDER_MARK = codecs.BOM_UTF8
_MARK_BYTES = len(BYTE_ORDER_MARK)

_NO_NUMBER = re.compile(r"-?(NaN|Infinity)", re.IGNORECASE)

_ALIEN_STARTS = (
    (b"\x1f\x8b", "it looks like gzip"),
    (b"PK\x03\x04", "it looks like a zip file"),
    (b"\x28\xb5\x2f\xfd", "it looks like zstd"),
    (b"\xff\xfe", "it looks like UTF-16"),
    (b"\xfe\xff", "it looks like UTF-16"),
    (b"\x00", "it begins with a zero byte, as Avro or Protobuf from a schema registry does"),
)


def parse(value: bytes) -> Any:
    """The one JSON value that these bytes hold. Time and memory grow with their length only.

    Of a name that an object repeats the last value counts, as in most readers of JSON. A byte order
    mark in front of it, as some systems write one, is passed over (RFC 8259, section 8.1).

    Raises:
        RejectedMessage: invalid_utf8, invalid_json or nested_too_deep.
    """
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if value.startswith(BYTE_ORDER_MARK) and not value.startswith(BYTE_ORDER_MARK, _MARK_BYTES):
            return parse(value[_MARK_BYTES:])
        fault = _explain(value, error)
    else:
        if not _opens_often(value) or not _is_too_deep(document):
            return document
        fault = _too_deep()
    raise fault


def with_members(value: bytes, members: bytes, replacing: frozenset[str] = frozenset()) -> bytes:
    """A JSON object with further members at its end; all its other bytes stay as they are.

    Args:
        value: a valid JSON object.
        members: what to add, without braces: `"name":value,...`.
        replacing: names whose members, however often they stand there, are taken out first.
            Leave it empty where there are none: looking for them reads the whole object.
    """
    end = value.rindex(b"}")
    view = memoryview(value)
    if not replacing:
        # Only an empty object ends with its brace and white space.
        comma = b"" if value[end - 1] in b"{ \t\r\n" and _is_empty(value, end) else b","
        # What stands behind it is short, so that a copy takes less than a view.
        return b"".join((view[:end], comma, members, value[end:]))
    start = value.index(b"{") + 1
    kept = [view[first:last] for name, first, last in _members(value) if name not in replacing]
    comma = b"," if kept else b""
    return b"".join((view[:start], b",".join(kept), comma, members, view[end:]))


def with_member_at(
    value: bytes, names: Sequence[str], member: bytes, replacing: bool = False
) -> bytes:
    """A JSON object with a member in the object that names lead to; its other bytes stay.

    Objects that are missing on the way are made, at the end of those that are there; a null on the
    way is replaced by one.

    Args:
        value: a valid JSON object.
        names: of the objects on the way, the outermost first, and then of the member.
        member: the value of the member, as JSON.
        replacing: whether something may stand there already, which is taken out.
    """
    name, *inner = names
    last = None
    if inner or replacing:
        last = next((one for one in reversed(_members(value)) if one[0] == name), None)
    if inner and last is not None:
        begin = _value_at(value, last[1])
        if value[begin : begin + 1] == b"{":
            end = last[2]
            within = with_member_at(value[begin:end], inner, member, replacing)
            return b"".join((value[:begin], within, value[end:]))
    for outer in reversed(inner):
        member = b"{%b:%b}" % (orjson.dumps(outer), member)
    added = b"%b:%b" % (orjson.dumps(name), member)
    return with_members(value, added, frozenset() if last is None else frozenset({name}))


def _is_empty(value: bytes, end: int) -> bool:
    """Whether an object has no members, given where it ends."""
    at = end - 1
    while value[at] in b" \t\r\n":
        at -= 1
    return value[at] == ord("{")


def _value_at(value: bytes, first: int) -> int:
    """Where the value of a member begins, given where the member does."""
    name = _STRUCTURE.search(value, first)
    assert name is not None, "a member begins with its name"
    at = value.index(b":", name.end()) + 1
    while value[at] in b" \t\r\n":
        at += 1
    return at


def without_members(value: bytes, names: frozenset[str]) -> bytes:
    """A valid JSON object without its top-level members of these names; the rest stays as it is."""
    return _with_those(value, [one for one in _members(value) if one[0] not in names])


def without_member_at(value: bytes, names: Sequence[str]) -> bytes:
    """The other way round than `with_member_at`: without that member, and without objects on the
    way that hold nothing else, which may have been made for it, as they may for a null.

    Args:
        value: a valid JSON object.
        names: as for `with_member_at`.
    """
    name, *inner = names
    members = _members(value)
    others = [one for one in members if one[0] != name]
    if not inner or len(others) == len(members):
        return _with_those(value, others) if len(others) < len(members) else value
    at = max(number for number, one in enumerate(members) if one[0] == name)
    _, first, end = members[at]
    begin = _value_at(value, first)
    if value[begin : begin + 1] == b"{":
        within = without_member_at(value[begin:end], inner)
        if _members(within):
            return b"".join((value[:begin], within, value[end:]))
        return _with_those(value, members[:at] + members[at + 1 :])
    return _with_those(value, others) if value.startswith(b"null", begin) else value


def _with_those(value: bytes, members: Sequence[tuple[str, int, int]]) -> bytes:
    view = memoryview(value)
    start, end = value.index(b"{") + 1, value.rindex(b"}")
    kept = (view[first:last] for _, first, last in members)
    return b"".join((view[:start], b",".join(kept), view[end:]))


def _members(value: bytes) -> list[tuple[str, int, int]]:
    """Name, start and end of each top-level member, white space around it included."""
    members: list[tuple[str, int, int]] = []
    depth, first, name = 0, 0, ""
    for match in _STRUCTURE.finditer(value):
        byte = value[match.start()]
        if byte == ord('"'):
            if depth == 1 and not name:
                # An escape may spell any letter of a name, so it is read as JSON reads it. The
                # quotes stay on, which tells an empty name from none yet.
                name = f'"{orjson.loads(match[0])}"'
        elif byte in b"[{":
            depth += 1
            if depth == 1:
                first = match.end()
        elif depth == 1:  # a comma between members, or the end of the object
            if name:  # none where the object is empty
                members.append((name[1:-1], first, match.start()))
            first, name = match.end(), ""
        else:
            depth -= byte in b"]}"
    return members


def _is_too_deep(document: Any) -> bool:
    """Whether containers stand more than MAX_DEPTH inside one another."""
    level = [document] if isinstance(document, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _opens_often(value: bytes) -> bool:
    """Whether these bytes have more than MAX_DEPTH brackets, which settles it for most articles.

    To look for the next one runs at the speed of memory; to count them all takes four times as
    long.
    """
    left = MAX_DEPTH
    for bracket in (b"{", b"["):
        at = value.find(bracket)
        while at >= 0:
            if not left:
                return True
            left -= 1
            at = value.find(bracket, at + 1)
    return False


def _explain(value: bytes, error: orjson.JSONDecodeError) -> RejectedMessage:
    """Why these bytes are not JSON."""
    alien = next((f"; {what}" for start, what in _ALIEN_STARTS if value.startswith(start)), "")
    try:
        value.decode()
    except UnicodeDecodeError as fault:
        return RejectedMessage(
            RejectCode.INVALID_UTF8,
            f"the value is not UTF-8: byte {fault.start} is 0x{value[fault.start]:02x}"
            f" ({fault.reason}){alien}; an article is one JSON object in UTF-8",
        )
    if not value.strip():
        what = "the value is empty" if not value else "the value holds only white space"
        return RejectedMessage(
            RejectCode.INVALID_JSON,
            f"{what}; an article is one JSON object, and a deletion is a null value",
        )
    if _opens_too_deep(value):
        return _too_deep()
    if _NO_NUMBER.match(error.doc, error.pos):
        alien = "; NaN and Infinity are not JSON, null is"
    return RejectedMessage(
        RejectCode.INVALID_JSON,
        f"the value is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        f" (character {error.pos}){alien}; an article is one JSON object",
    )


def _opens_too_deep(value: bytes) -> bool:
    """As `_is_too_deep`, for text that the parser gave up on."""
    depth = 0
    for match in _STRUCTURE.finditer(value):
        byte = value[match.start()]
        depth += (byte in b"[{") - (byte in b"]}")
        if depth > MAX_DEPTH:
            return True
    return False


def _too_deep() -> RejectedMessage:
    return RejectedMessage(
        RejectCode.NESTED_TOO_DEEP,
        f"arrays and objects stand more than {MAX_DEPTH} levels inside one another;"
        f" at most {MAX_DEPTH} are read",
    )
