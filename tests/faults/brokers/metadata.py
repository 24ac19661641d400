"""Answers to Metadata requests, as far as the brokers that they name.

The layout is that of Kafka's protocol (MetadataResponse, version 9 and later, which clients of
today ask for): the length, the number of the request, the tags of the head, the throttle time,
then the brokers: node, host, port, rack and tags of each.
"""

from __future__ import annotations

#: From this version on lengths are variable, and records end with tags.
FIRST_VERSION = 9

#: Bytes before the brokers: length, number of the request, tags (none), throttle time.
_HEAD = 4 + 4 + 1 + 4


def names_no_broker(frame: bytes, version: int) -> bool:
    """Whether the answer says that there are no brokers."""
    return version >= FIRST_VERSION and frame[_HEAD] == 1


def without_brokers(frame: bytes, version: int) -> bytes:
    """The same answer, as a broker gives it that has not been let in and knows no other.

    Raises:
        ValueError: the version is older than those that this reads.
    """
    if version < FIRST_VERSION:
        raise ValueError(f"MetadataResponse of version {version}, older than {FIRST_VERSION}")
    count, at = _length(frame, _HEAD)
    for _ in range(count):
        at += 4
        host, at = _length(frame, at)
        at += host + 4
        rack, at = _length(frame, at)
        at += max(rack, 0)
        tags, at = _length(frame, at)
        assert tags == -1, "tags of a broker are not read"
    body = frame[4:_HEAD] + b"\x01" + frame[at:]
    return len(body).to_bytes(4, "big") + body


def _length(frame: bytes, at: int) -> tuple[int, int]:
    """A length, which is written as one more; -1 where there is nothing. And where it ends."""
    value = shift = 0
    while True:
        byte = frame[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value - 1, at
