"""Whole numbers of as many bytes as they need, as Avro and Protobuf write them."""

from __future__ import annotations


def read_varint(value: bytes, at: int) -> tuple[int, int]:
    """The number that stands here, and where it ends.

    Raises:
        IndexError: the bytes end before it does, or it has more than 64 bits.
    """
    number = shift = 0
    while shift < 64:
        byte = value[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            if number >> 64:
                break
            return number, at
        shift += 7
    raise IndexError(f"more than 64 bits at {at}")


def signed(number: int) -> int:
    """What a number stands for that is written in zigzag: 0, -1, 1, -2 ..."""
    return (number >> 1) ^ -(number & 1)
