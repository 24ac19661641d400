"""Text of strangers for a terminal: what would move the cursor, hide or turn round is escaped."""

from __future__ import annotations

import re
import unicodedata

#: Control characters (escape sequences begin with one), formatting ones (bidirectional marks,
#: zero-width, soft hyphens, tags), lone surrogates, private ones, separators of lines, and what
#: Unicode has not assigned.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

#: What cannot be unsafe, so that most text is looked at once.
_PLAIN = re.compile(r"[ -~]*")

#: In JSON these are written as escapes by every writer already.
_IN_JSON = re.compile(r"[^ -~]")


def safe(text: str, *, lines: bool = False) -> str:
    """The text with every unsafe character as an escape: `\\x1b`, `\\u202e`.

    Args:
        lines: whether line feeds and tabs stay as they are; else they are escaped too.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(one if lines and one in "\n\t" else _escaped(one) for one in text)


def safe_bytes(value: bytes, *, lines: bool = False) -> str:
    """Bytes as text: UTF-8 where they are that, and `\\xff` for each byte that is not."""
    return safe(value.decode("utf-8", "surrogateescape"), lines=lines)


def safe_json(text: str) -> str:
    """JSON with every unsafe character as an escape of JSON's: it means the same.

    Args:
        text: one JSON text without line feeds, as orjson writes it.
    """
    return _IN_JSON.sub(lambda found: _escaped_in_json(found[0]), text)


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE


def _escaped(character: str) -> str:
    if not _is_unsafe(character):
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped_in_json(character: str) -> str:
    if not _is_unsafe(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
