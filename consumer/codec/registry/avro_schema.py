"""Avro schemas: what a message is read with, and what stands in the output's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from consumer.codec.registry.avro_names import (
    NAMED,
    PRIMITIVES,
    RECORDS,
    parts,
    rewritten,
    with_full_names,
)
from consumer.codec.registry.shapes import ListOf, Record, Scalar, Shape
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage

#: The namespace of the types that nerstream adds.
NAMESPACE = "nerstream"

_SCALARS = {"string": "string", "integer": "long", "number": "double", "boolean": "boolean"}


def addition_field(name: str, shape: Shape) -> dict[str, Any]:
    """A field that is added to a record. It has a default, so that a reader who knows it reads
    messages from before it too."""
    kind = avro_type(shape)
    if isinstance(shape, ListOf):
        return {"name": name, "type": kind, "default": []}
    return {"name": name, "type": ["null", kind], "default": None}


def avro_type(shape: Shape) -> Any:
    """The Avro type of a shape; a record's is defined in it, in the namespace of nerstream."""
    match shape:
        case Scalar(kind):
            return _SCALARS[kind]
        case ListOf(items):
            return {"type": "array", "items": avro_type(items)}
        case Record(name, fields):
            return {
                "type": "record",
                "name": f"{NAMESPACE}.{name}",
                "fields": [
                    {"name": field.name, "type": avro_type(field.shape)}
                    if field.is_required
                    else addition_field(field.name, field.shape)
                    for field in fields
                ],
            }


@dataclass(frozen=True, slots=True)
class AvroSchema:
    """A schema that messages were written with, all names full and all references resolved.

    Attributes:
        document: as it was registered, as JSON.
        whole: the same with every type defined in it where it is first used.
        definitions: each named type of it, by its full name.
        is_recursive: whether a record can hold itself.
    """

    document: Any
    whole: Any
    definitions: Mapping[str, Any]
    is_recursive: bool

    @property
    def branches(self) -> Sequence[Any]:
        """What a message can be: the branches of a union, or the one type."""
        return self.whole if isinstance(self.whole, list) else [self.whole]


def read_schema(text: str, referenced: Sequence[str]) -> AvroSchema:
    """Read a schema as a registry hands it out.

    Args:
        text: JSON.
        referenced: the texts of the schemas that it uses, and of those that they use.

    Raises:
        RejectedMessage: wrong_schema; it is no schema in Avro, or one that cannot be read safely.
    """
    try:
        document = orjson.loads(text)
        definitions: dict[str, Any] = {}
        for one in (*referenced, text):
            for part in parts(with_full_names(orjson.loads(one))):
                if isinstance(part, dict) and part.get("type") in NAMED:
                    definitions.setdefault(part["name"], part)
        whole = closed(with_full_names(document), definitions)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise RejectedMessage(
            RejectCode.WRONG_SCHEMA, f"its schema is none that Avro knows ({fault!r})"
        ) from fault
    if _has_weightless_items(whole, definitions):
        raise RejectedMessage(
            RejectCode.WRONG_SCHEMA,
            "its schema has an array of items that take no bytes, of which a few bytes may claim"
            " any number; give them a field",
        )
    return AvroSchema(document, whole, definitions, _is_recursive(definitions))


def with_additions(
    schema: AvroSchema, additions: Sequence[Mapping[str, Any]]
) -> tuple[Any, tuple[str, ...]]:
    """The schema of the output: each record that a message can be gets further fields at its end.

    A field of the same name that a record has is taken out. A record that holds records of its own
    type gets the name of its type with `Tagged` behind it, so that those inside stay as they are.

    Returns:
        The schema as JSON, and the names of types that it uses without a definition, which are
        those of the references.

    Raises:
        RejectedMessage: wrong_schema; a type of the schema has the name of one of ours.
    """
    document = schema.document
    if isinstance(document, dict) and document.get("fields", [])[-len(additions) :] == additions:
        return document, _undefined(document)  # it was written by nerstream
    names = {field["name"] for field in additions}
    roots = [part for part in schema.branches if _is_record(part)]
    used = {part for part in parts(schema.whole) if isinstance(part, str)} - PRIMITIVES
    is_plain = (
        isinstance(document, dict)
        and not used.intersection(root["name"] for root in roots)
        and not any(field["name"] in names for root in roots for field in root["fields"])
    )
    ours = {
        part["name"]: part
        for field in additions
        for part in parts(field["type"])
        if isinstance(part, dict) and part.get("type") in NAMED
    }
    for name, definition in ours.items():
        theirs = schema.definitions.get(name)
        if theirs is not None and theirs != definition and not _is_only_in(name, names, roots):
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA,
                f"its schema has a type {name} of its own, which is not the one that is added",
            )
    if is_plain and not schema.definitions.keys() & ours.keys():
        return {**document, "fields": [*document["fields"], *additions]}, _undefined(document)
    branches = [
        {
            **part,
            "name": part["name"] + "Tagged" if part["name"] in used else part["name"],
            "fields": [
                *(field for field in part["fields"] if field["name"] not in names),
                *additions,
            ],
        }
        if _is_record(part)
        else part
        for part in schema.branches
    ]
    whole = branches if isinstance(schema.whole, list) else branches[0]
    return closed(whole, {**schema.definitions, **ours}), ()


def closed(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema of full names, in which each type is defined where it is first used."""
    seen: set[str] = set()

    def change(part: Any) -> Any:
        if isinstance(part, str) and part in definitions and part not in seen:
            part = definitions[part]
        if isinstance(part, dict) and part.get("type") in NAMED:
            name = str(part["name"])
            if name in seen:
                return name
            seen.add(name)
        return part

    return rewritten(schema, change)


def without_logical_types(schema: Any) -> Any:
    """The same schema, read as plain values: decimals as bytes, dates as numbers, UUIDs as text."""

    def change(part: Any) -> Any:
        if isinstance(part, dict) and "logicalType" in part:
            return {name: value for name, value in part.items() if name != "logicalType"}
        return part

    return rewritten(schema, change)


def _is_record(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in RECORDS


def _undefined(document: Any) -> tuple[str, ...]:
    """The names that a schema uses and does not define."""
    whole = with_full_names(document)
    defined = {
        part["name"] for part in parts(whole) if isinstance(part, dict) and part["type"] in NAMED
    }
    used = {part for part in parts(whole) if isinstance(part, str)}
    return tuple(sorted(used - defined - PRIMITIVES))


def _is_only_in(name: str, fields: set[str], roots: Sequence[Any]) -> bool:
    """Whether a type is used nowhere but in fields that are taken out."""
    return not any(
        part == name or (isinstance(part, dict) and part.get("name") == name)
        for root in roots
        for field in root["fields"]
        if field["name"] not in fields
        for part in parts(field["type"])
    )


def _is_recursive(definitions: Mapping[str, Any]) -> bool:
    uses = {
        name: {
            part if isinstance(part, str) else part["name"]
            for part in parts(definition)
            if part is not definition
            and (isinstance(part, str) or (isinstance(part, dict) and part.get("type") in NAMED))
        }
        for name, definition in definitions.items()
    }
    # A type that uses nothing but what is settled is settled; what never gets there goes round.
    left = {name: used & definitions.keys() for name, used in uses.items()}
    while settled := [name for name, used in left.items() if not used & left.keys()]:
        for name in settled:
            del left[name]
    return bool(left)


def _has_weightless_items(schema: Any, definitions: Mapping[str, Any]) -> bool:
    return any(
        isinstance(part, dict)
        and part.get("type") == "array"
        and _is_weightless(part["items"], definitions, frozenset())
        for part in parts(schema)
    )


def _is_weightless(schema: Any, definitions: Mapping[str, Any], inside: frozenset[str]) -> bool:
    """Whether a value of this schema takes no bytes."""
    if isinstance(schema, str):
        if schema in inside:
            return True  # it is as light as the rest of it
        return schema == "null" or (
            schema in definitions and _is_weightless(definitions[schema], definitions, inside)
        )
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    if kind in RECORDS:
        within = inside | {str(schema["name"])}
        return all(_is_weightless(one["type"], definitions, within) for one in schema["fields"])
    if kind == "fixed":
        return int(schema["size"]) == 0
    return kind not in NAMED | {"array", "map"} and _is_weightless(kind, definitions, inside)
