"""Messages in JSON whose schema stands in a registry: written by splicing, as plain JSON is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from consumer.codec.json_format import JsonFormat
from consumer.codec.registry.additions import Additions
from consumer.codec.registry.formats import RegistryFormat
from consumer.codec.registry.framing import PREFIX_BYTES
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.json_pointer import unescaped
from consumer.contracts.messages import Article
from consumer.contracts.registry import RegisteredSchema, SchemaType

#: Keywords whose schemas are applied to the same value as the schema around them.
_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("if", "then", "else")


class JsonSchemaFormat(RegistryFormat[bytes]):
    """JSON with the schema of each message in a registry.

    Messages are not held against their schema: that is for who wrote them, and for who reads what
    comes of it.
    """

    schema_type = SchemaType.JSON

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._json = JsonFormat(self._additions.place)

    def parse(self, value: bytes) -> Any:
        """The JSON value that a message holds; codes as `json_text.parse`."""
        self._plan(value)
        return self._json.parse(value[PREFIX_BYTES:])

    def readable(self, value: bytes) -> Any:
        """The same."""
        return self._json.parse(value[PREFIX_BYTES:])

    def shared(self, addition: Mapping[str, Any]) -> Any:
        """The addition as JSON."""
        return self._json.shared(addition)

    def write(self, article: Article, additions: Mapping[str, Any]) -> bytes:
        """The article's message with its additions, as `JsonFormat.write`."""
        value = article.raw.value
        assert value is not None, "a tombstone has no entities"
        plain = article._replace(raw=article.raw._replace(value=value[PREFIX_BYTES:]))
        return self._known(value) + self._json.write(plain, additions)

    def _made(self, schema: RegisteredSchema) -> bytes:
        try:
            document = orjson.loads(schema.text)
        except orjson.JSONDecodeError as fault:
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA, f"its schema is not JSON ({fault})"
            ) from fault
        title = document.get("title", "") if isinstance(document, dict) else ""
        text = orjson.dumps(with_additions(document, self._additions)).decode()
        return self._register(
            title if isinstance(title, str) else "",
            RegisteredSchema(SchemaType.JSON, text, schema.references),
        )


def with_additions(document: Any, additions: Additions) -> Any:
    """The schema of the output: its objects may have further properties, and these are described.

    A property of the same name is replaced. Where the schema, or a part of it that is applied to
    the same object, allows no other properties than its own, those that are added become its own.
    """
    if not isinstance(document, dict):
        return document
    copy: dict[str, Any] = orjson.loads(orjson.dumps(document))
    _add(copy, copy, additions.within, additions.rules)
    return copy


def _add(
    schema: dict[str, Any], root: dict[str, Any], within: Sequence[str], rules: Mapping[str, Any]
) -> None:
    """Add properties to a schema, in place."""
    parts = [schema]
    for part in parts:
        for other in _applied(part, root):
            if not any(other is one for one in parts):
                parts.append(other)
    for part in parts:
        # Where it is open, a description at the top is enough.
        is_open = part.get("additionalProperties", True) is True and "properties" not in part
        if part is not schema and is_open:
            continue
        properties = part.setdefault("properties", {})
        if not within:
            properties.update(rules)
            continue
        inner = properties.get(within[0])
        if not isinstance(inner, dict):
            inner = properties[within[0]] = {"type": "object"}
        _add(inner, root, within[1:], rules)


def _applied(part: Mapping[str, Any], root: Any) -> list[dict[str, Any]]:
    """The schemas inside one that are applied to the same value."""
    found = [one for keyword in _LISTS for one in part.get(keyword, ())]
    found += [part[keyword] for keyword in _SINGLE if keyword in part]
    found += part.get("dependentSchemas", {}).values()
    reference = part.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        found.append(_resolved(reference, root))
    return [one for one in found if isinstance(one, dict)]


def _resolved(reference: str, root: Any) -> Any:
    """What a reference inside a schema points to; None where there is nothing."""
    found = root
    for step in reference[2:].split("/"):
        name = unescaped(step)
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found
