"""Parts of a JSON Pointer (RFC 6901)."""

from __future__ import annotations


def escaped(name: str) -> str:
    """A name as a part of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def unescaped(part: str) -> str:
    """The name that a part of a JSON Pointer stands for."""
    return part.replace("~1", "/").replace("~0", "~")
