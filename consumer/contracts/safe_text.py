"""Text of strangers for terminals and logs: what would move the cursor, begin a line of its own,
hide or turn round is escaped.

Nothing that a person reads is written past this module: `consumer.terminal` and `consumer.console`
write for the commands, `consumer.telemetry.logs` for the log, and the standard streams themselves
(`consumer.contracts.safe_streams`) let nothing else through.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

#: Control characters (escape sequences begin with one), formatting ones (bidirectional marks,
#: zero-width, soft hyphens, tags), lone surrogates, private ones, separators of lines, and what
#: Unicode has not assigned.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

#: Combining marks.
_MARKS = frozenset({"Mn", "Me"})

#: What cannot be unsafe, so that most text is looked at once.
_PLAIN = re.compile(r"[ -~]*")

#: Combining marks on one character that are shown, as many as Unicode's Stream-Safe Text Format
#: (UAX #15) allows; no language comes near it. More of them cover the lines above and below.
_MOST_MARKS = 30

#: In JSON these are written as escapes by every writer already.
_IN_JSON = re.compile(r"[^ -~]")


def safe(text: str, *, lines: bool = False) -> str:
    """The text with every unsafe character as an escape: `\\x1b`, `\\u202e`.

    Args:
        lines: whether line feeds and tabs stay as they are; else they are escaped too.
    """
    return "".join(safe_characters(text, lines=lines))


def safe_characters(text: str, *, lines: bool = False) -> Sequence[str]:
    """What `safe` shows of each character, one for one: so offsets of the text are indices here."""
    if _PLAIN.fullmatch(text):
        return text
    marks = 0
    shown = []
    for one in text:
        marks = marks + 1 if unicodedata.category(one) in _MARKS else 0
        if lines and one in "\n\t":
            shown.append(one)
        else:
            shown.append(_escaped(one) if marks > _MOST_MARKS or _is_unsafe(one) else one)
    return shown


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
