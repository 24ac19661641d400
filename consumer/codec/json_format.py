"""JSON: what a message's bytes hold, and the same bytes with the additions in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from consumer.codec import json_text
from consumer.codec.output_place import OutputPlace
from consumer.contracts.messages import Article

#: By one byte, which costs nothing, it is seen whether there may be a byte order mark.
_MARK_BEGINS = json_text.BYTE_ORDER_MARK[0]

_NOTHING: frozenset[str] = frozenset()


class JsonFormat:
    """Fulfils `consumer.contracts.ports.MessageFormat`. Any thread.

    Args:
        place: where the additions go.
    """

    keeps_document = False

    def __init__(self, place: OutputPlace) -> None:
        self._place = place
        self._names = place.names

    def open(self) -> None:
        """Nothing is needed from elsewhere."""

    def close(self) -> None:
        """Nothing was used from elsewhere."""

    # The function itself: a method around it would take a hundredth of an article's time.
    parse = staticmethod(json_text.parse)

    def shared(self, addition: Mapping[str, Any]) -> orjson.Fragment:
        """The addition as JSON, which is written once."""
        return orjson.Fragment(orjson.dumps(addition))

    def write(self, article: Article, additions: Mapping[str, Any]) -> bytes:
        """The article's own bytes with the additions at the end of the object that they go to.

        A byte order mark in front of them stays away: who writes JSON must add none.
        """
        value = article.raw.value
        if value is None:
            raise ValueError("a tombstone has no entities")
        if value[0] == _MARK_BEGINS:
            value = value.removeprefix(json_text.BYTE_ORDER_MARK)
        members = orjson.dumps(additions)
        if not self._names:
            replacing = self._place.top_names if article.has_reserved_fields else None
            return json_text.with_members(value, members[1:-1], replacing or _NOTHING)
        return json_text.with_member_at(value, self._names, members, article.has_reserved_fields)
