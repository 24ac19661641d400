"""Values of a message with their places, as JSON Pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from consumer.contracts.json_pointer import unescaped
from consumer.contracts.messages import TextField

#: What a compiled path gives of a message: values that are not null, each with its pointer.
Places: TypeAlias = "list[tuple[str, Any]]"

#: The name, the text as it came and the parsed message -> the field; None where nothing is left.
ReadField: TypeAlias = Callable[[str, str, Any], TextField | None]


class Located(NamedTuple):
    """A value of the message, and its pointer."""

    value: Any
    pointer: str


class Made(list[Any]):
    """A list that stands nowhere: what a projection gives, its items `Found`."""


#: A value with its place, a list of such, or None where the path finds nothing.
Found: TypeAlias = "Located | Made | None"


def resolve(document: Any, pointer: str) -> Any:
    """What stands at a JSON Pointer.

    Raises:
        LookupError: nothing does.
    """
    value = document
    for part in pointer.split("/")[1:]:
        name = unescaped(part)
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def plain(found: Found) -> Any:
    """The value without its place, as jmespath would have it."""
    if isinstance(found, Made):
        return [plain(item) for item in found]
    return None if found is None else found.value


def is_false(value: Any) -> bool:
    """What JMESPath takes for false. By type: 0 is not."""
    return value is None or value is False or (isinstance(value, (str, list, dict)) and not value)
