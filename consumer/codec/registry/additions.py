"""What nerstream adds to a message, by the JSON Schema of its output and the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consumer import resources
from consumer.codec.output_place import OutputPlace
from consumer.codec.registry.shapes import Field, Record, Shape, shapes_of

#: What every output has beside the article; the rest of the schema's properties are the article's.
NAMES = ("entities", "tagging")

#: The same where the names of the article are listed (`group_mentions`).
WITH_NAMES = ("entities", "names", "tagging")


@dataclass(frozen=True, slots=True)
class Additions:
    """What is added, and where.

    Attributes:
        shapes: of each addition, by its name, in order.
        rules: the JSON Schema of each, without references.
        place: where they go.
    """

    shapes: Mapping[str, Shape]
    rules: Mapping[str, Any]
    place: OutputPlace

    @property
    def within(self) -> Sequence[str]:
        """The objects that they stand in, the outermost first; none at the top of a message."""
        return self.place.names

    @property
    def top(self) -> dict[str, Shape]:
        """The shape of each field that the top of a message gets."""
        shapes = dict(self.shapes)
        for depth, name in reversed(list(enumerate(self.within))):
            record = "Output" if depth == len(self.within) - 1 else f"Output{depth}"
            fields = (Field(part, shape, True) for part, shape in shapes.items())
            shapes = {name: Record(record, tuple(fields))}
        return shapes

    def nested(self, additions: Mapping[str, Any]) -> Mapping[str, Any]:
        """Values of the additions as the fields that the top of a message gets."""
        for name in reversed(self.within):
            additions = {name: additions}
        return additions


def additions_at(place: OutputPlace, names: Sequence[str] = NAMES) -> Additions:
    """What is added to every message.

    Args:
        place: where it goes.
        names: properties of the output's schema.
    """
    schema = resources.schema("tagged_article.v1")
    shapes = shapes_of(schema)
    return Additions(
        {name: shapes[name] for name in names},
        {name: _resolved(schema["properties"][name], schema["$defs"]) for name in names},
        place,
    )


def _resolved(rule: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references, in words that the drafts since 4 share."""
    if isinstance(rule, list):
        return [_resolved(one, definitions) for one in rule]
    if not isinstance(rule, dict):
        return rule
    if "$ref" in rule:
        rule = definitions[rule["$ref"].removeprefix("#/$defs/")]
    return {
        name: {part: {"not": {}} if one is False else one for part, one in value.items()}
        if name == "properties"
        else value
        for name, value in ((name, _resolved(one, definitions)) for name, one in rule.items())
    }
