"""Bytes cut into pieces, as what a target needs beside one value."""

from __future__ import annotations


class Pieces:
    """Takes pieces off the front; each begins with its length. At the end all are empty.

    Args:
        data: the whole.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        """The next byte; 0 at the end."""
        found = self._data[self._at : self._at + 1]
        self._at += 1
        return found[0] if found else 0

    def bytes_or_none(self) -> bytes | None:
        """A piece; None where its length is 255."""
        length = self.number()
        if length == 255:
            return None
        found = self._data[self._at : self._at + length]
        self._at += length
        return found

    def text(self) -> str:
        """A piece as text."""
        return (self.bytes_or_none() or b"").decode("utf-8", "replace")


def piece(value: bytes | None) -> bytes:
    """A piece as `Pieces` takes it; cut at 254 bytes."""
    if value is None:
        return b"\xff"
    return bytes([len(value[:254])]) + value[:254]
