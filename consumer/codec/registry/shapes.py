"""What nerstream adds to a message, as shapes that Avro and Protobuf schemas are made from.

Read from the JSON Schema of the output, so that what is added is declared once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

_SCALARS = frozenset({"string", "integer", "number", "boolean"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value without parts: `string`, `integer`, `number` or `boolean`."""

    kind: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """Any number of values of one shape."""

    items: Shape


@dataclass(frozen=True, slots=True)
class Record:
    """Named fields, in order.

    Attributes:
        name: of the type, such as `Entity`.
    """

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record; one that is not required may be absent."""

    name: str
    shape: Shape
    is_required: bool


Shape: TypeAlias = Scalar | ListOf | Record


def shapes_of(schema: Mapping[str, Any]) -> dict[str, Shape]:
    """The shape of each property that a JSON Schema describes as a value, a list or an object.

    Args:
        schema: an object's, with `$defs`; `$ref` may name those alone.
    """
    definitions = schema.get("$defs", {})
    return {
        name: _shape(name, _resolved(rule, definitions), definitions)
        for name, rule in schema.get("properties", {}).items()
    }


def _shape(name: str, rule: Mapping[str, Any], definitions: Mapping[str, Any]) -> Shape:
    kind = _kind(rule)
    if kind in _SCALARS:
        return Scalar(kind)
    if kind == "array":
        return ListOf(_shape(name, _resolved(rule["items"], definitions), definitions))
    if kind != "object":
        raise ValueError(f"{name} is {kind}, which no shape is made for")
    required = rule.get("required", ())
    fields = tuple(
        Field(
            part,
            _shape(part, _resolved(below, definitions), definitions),
            part in required and not _may_be_null(_resolved(below, definitions)),
        )
        for part, below in rule["properties"].items()
    )
    return Record(rule.get("title", name.capitalize()), fields)


def _kind(rule: Mapping[str, Any]) -> str:
    if "enum" in rule and all(isinstance(choice, str) for choice in rule["enum"]):
        return "string"  # further choices may come, which no reader should stumble over
    kinds = rule["type"]
    if isinstance(kinds, str):
        return kinds
    return str(next(kind for kind in kinds if kind != "null"))


def _may_be_null(rule: Mapping[str, Any]) -> bool:
    kinds = rule.get("type", "")
    return "null" in kinds and not isinstance(kinds, str)


def _resolved(rule: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in rule:
        return rule
    found = definitions[rule["$ref"].removeprefix("#/$defs/")]
    assert isinstance(found, Mapping)
    return found
