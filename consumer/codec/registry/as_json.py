"""Messages that come in a format of a registry and leave as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from consumer.codec.registry.additions import Additions
from consumer.codec.registry.formats import RegistryFormat
from consumer.contracts.messages import Article


class AsJson:
    """Fulfils `consumer.contracts.ports.MessageFormat`: reads as another format, writes JSON.

    Args:
        source: how messages are read.
        additions: what is added.
    """

    keeps_document = False

    def __init__(self, source: RegistryFormat[Any], additions: Additions) -> None:
        self._source = source
        self._additions = additions
        self.open, self.close, self.parse = source.open, source.close, source.parse

    def shared(self, addition: Mapping[str, Any]) -> Any:
        """The addition as JSON."""
        return orjson.Fragment(orjson.dumps(addition))

    def write(self, article: Article, additions: Mapping[str, Any]) -> bytes:
        """The article as JSON with its additions.

        Raises:
            RejectedMessage: JSON has no such value.
        """
        value = article.raw.value
        assert value is not None, "a tombstone has no entities"
        document = self._source.readable(value)
        here = document
        for name in self._additions.within:
            inner = here.get(name)
            if not isinstance(inner, dict):
                inner = here[name] = {}
            here = inner
        if self._additions.within:
            here.clear()
        here.update(additions)
        return orjson.dumps(document)
