"""What an enriched message has kept of its article, where a schema says how both are written."""

from __future__ import annotations

from typing import Any

import orjson

from consumer.codec.json_text import BYTE_ORDER_MARK
from consumer.codec.output_place import OutputPlace
from consumer.codec.registry.formats import RegistryFormat
from consumer.contracts.errors import RejectedMessage

#: What an output always has, also where nothing was found or nothing was tagged.
_MARK = "tagging"

#: The first byte of a message that names its schema.
_FRAMED = b"\0"


class DocumentComparison:
    """Fulfils `Comparison` for the formats of a registry, and for JSON that is made of them.

    An output has another schema than its input, so what both hold is compared, not their bytes.
    Numbers that are written in another way and are the same are the same here.

    Args:
        source: reads inputs and outputs; it must register nothing.
        place: where the additions are.
    """

    def __init__(self, source: RegistryFormat[Any], place: OutputPlace) -> None:
        self._source = source
        self._names = place.names
        self._top = place.top_names or frozenset()

    def kept(self, value: bytes) -> tuple[bytes, bool]:
        """As the protocol says.

        Raises:
            RegistryUnavailable, RegistryProblem: the schema of the message cannot be had.
        """
        document = self._read(value)
        if not isinstance(document, dict):
            return value, False
        is_tagged = self._take_out(document, self._names)
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS), is_tagged

    def close(self) -> None:
        """Close the registry's connections."""
        self._source.close()

    def _read(self, value: bytes) -> Any:
        try:
            if not value.startswith(_FRAMED):
                return orjson.loads(value.removeprefix(BYTE_ORDER_MARK))
            # First, since it fetches the schema.
            self._source.parse(value)
            return self._source.readable(value)
        except (RejectedMessage, orjson.JSONDecodeError):
            return None

    def _take_out(self, document: dict[str, Any], names: tuple[str, ...]) -> bool:
        """Without what is added, and without objects that are there for it alone."""
        if not names:
            is_tagged = document.get(_MARK) is not None
            for name in self._top:
                document.pop(name, None)
            return is_tagged
        name, *inner = names
        within = document.get(name)
        is_tagged = False
        if isinstance(within, dict):
            if inner:
                is_tagged = self._take_out(within, tuple(inner))
            else:
                is_tagged = within.get(_MARK) is not None
                within = {}
        if not within:
            document.pop(name, None)
        return is_tagged
