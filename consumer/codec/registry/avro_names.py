"""Avro schemas as JSON: their named types, found and rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

#: What a name is that needs no definition.
PRIMITIVES = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string", "error_union"}
)

NAMED = frozenset({"record", "error", "enum", "fixed"})
RECORDS = frozenset({"record", "error"})


def full_name(name: str, namespace: str) -> str:
    """A name as it is known everywhere: with its namespace, unless it has one or is a primitive."""
    if "." in name or name in PRIMITIVES or not namespace:
        return name
    return f"{namespace}.{name}"


def own_name(schema: dict[str, Any], namespace: str) -> str:
    """The full name of a named type that is defined inside this namespace."""
    return full_name(schema["name"], schema.get("namespace", namespace))


def namespace_of(name: str) -> str:
    """The namespace of a full name."""
    return name.rpartition(".")[0]


def with_full_names(schema: Any, namespace: str = "") -> Any:
    """A copy in which every type is defined and used by its full name."""
    if isinstance(schema, str):
        return full_name(schema, namespace)
    if isinstance(schema, list):
        return [with_full_names(branch, namespace) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    copy = dict(schema)
    kind = schema.get("type")
    if kind in NAMED:
        copy["name"] = own_name(schema, namespace)
        copy.pop("namespace", None)
        namespace = namespace_of(copy["name"])
        if "aliases" in copy:
            copy["aliases"] = [full_name(alias, namespace) for alias in copy["aliases"]]
    if kind in RECORDS:
        copy["fields"] = [
            {**field, "type": with_full_names(field["type"], namespace)}
            for field in schema["fields"]
        ]
    elif kind in ("array", "map"):
        part = "items" if kind == "array" else "values"
        copy[part] = with_full_names(schema[part], namespace)
    elif kind not in NAMED:
        copy["type"] = with_full_names(kind, namespace)
    return copy


def rewritten(schema: Any, change: Callable[[Any], Any]) -> Any:
    """A copy in which `change` has seen every schema inside, from the outside in and in order.

    Args:
        change: gives what stands in the place of a schema; what it gives is looked into.
    """
    schema = change(schema)
    if isinstance(schema, list):
        return [rewritten(branch, change) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    copy = dict(schema)
    kind = schema.get("type")
    if kind in RECORDS:
        copy["fields"] = [
            {**field, "type": rewritten(field["type"], change)} for field in schema["fields"]
        ]
    elif kind in ("array", "map"):
        part = "items" if kind == "array" else "values"
        copy[part] = rewritten(schema[part], change)
    elif not isinstance(kind, str):
        copy["type"] = rewritten(kind, change)
    return copy


def parts(schema: Any) -> Iterator[Any]:
    """Every schema inside a schema, itself included."""
    yield schema
    if isinstance(schema, list):
        for branch in schema:
            yield from parts(branch)
    elif isinstance(schema, dict):
        kind = schema.get("type")
        if kind in RECORDS:
            for field in schema["fields"]:
                yield from parts(field["type"])
        elif kind in ("array", "map"):
            yield from parts(schema["items" if kind == "array" else "values"])
        elif not isinstance(kind, str):
            yield from parts(kind)
