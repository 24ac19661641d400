"""What an enriched message has kept of its article, in JSON: every byte but what is added."""

from __future__ import annotations

from typing import Any

import orjson

from consumer.codec.json_text import BYTE_ORDER_MARK, without_member_at, without_members
from consumer.codec.output_place import OutputPlace

#: Where the members begin that the worker adds. Inside a string a quote would be escaped, so these
#: bytes are always the name of a member.
_ADDED = b',"entities":'

#: What an output always has, also where nothing was found or nothing was tagged.
_MARK = "tagging"


class JsonComparison:
    """Fulfils `Comparison` for values in JSON.

    Args:
        place: where the additions are, and what they are called. Below the top, an object on the
            way that is missing, null or empty counts as the same, since the worker makes one of it.
    """

    def __init__(self, place: OutputPlace | None = None) -> None:
        place = OutputPlace() if place is None else place
        self._names = place.names
        #: Members at the top that are ours, or the first on the way to ours.
        self._top = frozenset(self._names[:1]) if self._names else place.top_names or frozenset()
        # Bytes that a member of ours cannot be written without: its name, or an escape of JSON's.
        self._signs = (*(orjson.dumps(name)[1:-1] for name in sorted(self._top)), b"\\u")

    def close(self) -> None:
        """It has no connections."""

    def kept(self, value: bytes) -> tuple[bytes, bool]:
        """As the protocol says."""
        # The output has none.
        value = value.removeprefix(BYTE_ORDER_MARK)
        at = -1 if self._names else value.rfind(_ADDED)
        if at >= 0:
            end = value.rfind(b"}")
            if self._adds(value[at + 1 : end]):
                # As the worker writes it: ours are the last members, and stand there once.
                rest = value[:at] + value[end:]
                if not self._ours(rest):
                    return _plain(rest), True
        found = self._ours(value)
        if not found:
            return _plain(value), False
        if self._names:
            return _plain(without_member_at(value, self._names)), self._is_tagged(found)
        return _plain(without_members(value, self._top)), _MARK in found

    def _ours(self, value: bytes) -> dict[str, Any]:
        """The document where it has members that may be ours; empty where it has none."""
        if not any(sign in value for sign in self._signs):
            return {}
        found = _object(value) or {}
        return {} if self._top.isdisjoint(found) else found

    def _adds(self, members: bytes) -> bool:
        """Whether these members are ours and no others."""
        found = _object(b"{%b}" % members)
        return found is not None and _MARK in found and found.keys() <= self._top

    def _is_tagged(self, document: dict[str, Any]) -> bool:
        here: Any = document
        for name in self._names:
            here = here.get(name) if isinstance(here, dict) else None
        return isinstance(here, dict) and _MARK in here


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _plain(value: bytes) -> bytes:
    """An object without members has white space in it or not, as ours were put into it."""
    if b'"' not in value and b"".join(value.split()) == b"{}":
        return b"{}"
    return value
