"""Messages in JSON whose schema stands in a registry: written by splicing, as plain JSON is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from consumer.codec import json_text
from consumer.codec.registry.formats import Parsed, RegistryFormat
from consumer.codec.registry.framing import PREFIX_BYTES
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.registry import RegisteredSchema, SchemaType

#: Keywords whose schemas are applied to the same value as the schema around them.
_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("if", "then", "else")


class JsonSchemaFormat(RegistryFormat[bytes]):
    """JSON with the schema of each message in a registry.

    Messages are not held against their schema: that is for who wrote them, and for who reads what
    comes of it.

    Args:
        rules: the JSON Schema of each field that is added, without references.
    """

    schema_type = SchemaType.JSON

    def __init__(self, *args: Any, rules: Mapping[str, Any], **options: Any) -> None:
        super().__init__(*args, **options)
        self._rules = dict(rules)

    def parse(self, value: bytes) -> Parsed:
        """The JSON value that a message holds.

        Raises:
            RejectedMessage: not_framed, unknown_schema, wrong_schema, and as `json_text.parse`.
            RegistryUnavailable, RegistryProblem: as the registry's.
        """
        prefix = self._plan(value)
        return Parsed(json_text.parse(value[PREFIX_BYTES:]), prefix)

    def write(self, value: bytes, parsed: Parsed, additions: Mapping[str, Any]) -> bytes:
        """A message with its additions; as `AvroFormat.write`."""
        members = orjson.dumps(additions)[1:-1]
        replacing = frozenset(additions) if not additions.keys().isdisjoint(parsed.tree) else None
        text = json_text.with_members(value[PREFIX_BYTES:], members, replacing or frozenset())
        return b"".join((parsed.written_by, text))

    def _made(self, schema: RegisteredSchema) -> bytes:
        try:
            document = orjson.loads(schema.text)
        except orjson.JSONDecodeError as fault:
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA, f"its schema is not JSON ({fault})"
            ) from fault
        title = document.get("title", "") if isinstance(document, dict) else ""
        text = orjson.dumps(with_additions(document, self._rules)).decode()
        return self._register(
            title if isinstance(title, str) else "",
            RegisteredSchema(SchemaType.JSON, text, schema.references),
        )


def with_additions(document: Any, rules: Mapping[str, Any]) -> Any:
    """The schema of the output: its objects may have further properties, and these are described.

    A property of the same name is replaced. Where the schema, or a part of it that is applied to
    the same object, allows no other properties than its own, those that are added become its own.

    Args:
        rules: the schema of each added property, without references.
    """
    if not isinstance(document, dict):
        return document
    copy: dict[str, Any] = orjson.loads(orjson.dumps(document))
    copy["properties"] = {**copy.get("properties", {}), **rules}
    seen: list[dict[str, Any]] = [copy]
    for part in seen:
        for other in _applied(part, copy):
            if not any(other is one for one in seen):
                seen.append(other)
    for part in seen[1:]:
        # Where it is open, a description at the top is enough.
        if part.get("additionalProperties", True) is not True or "properties" in part:
            part["properties"] = {**part.get("properties", {}), **rules}
    return copy


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
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found
