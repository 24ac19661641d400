"""What nerstream adds to a message, by the JSON Schema of its output."""

from __future__ import annotations

from typing import Any

from consumer import resources
from consumer.codec.registry.shapes import Shape, shapes_of

#: What every output has beside the article; the rest of the schema's properties are the article's.
NAMES = ("entities", "tagging")


def addition_shapes() -> dict[str, Shape]:
    """The shape of each field that is added."""
    shapes = shapes_of(resources.schema("tagged_article.v1"))
    return {name: shapes[name] for name in NAMES}


def addition_rules() -> dict[str, Any]:
    """The JSON Schema of each, without references."""
    schema = resources.schema("tagged_article.v1")
    return {name: _resolved(schema["properties"][name], schema["$defs"]) for name in NAMES}


def _resolved(rule: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(rule, list):
        return [_resolved(one, definitions) for one in rule]
    if not isinstance(rule, dict):
        return rule
    if "$ref" in rule:
        rule = definitions[rule["$ref"].removeprefix("#/$defs/")]
    return {name: _resolved(one, definitions) for name, one in rule.items()}
