"""What a message has, in words that fit into an error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Characters of a wrong value that an error message quotes.
_QUOTED_CHARACTERS = 40

#: Names of an object that an error message lists.
_LISTED_NAMES = 8


def described(value: Any) -> str:
    """A value by its type, and by itself where it is short to say."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"a number ({value})"
        case str():
            return f"a string ({shortened(value)!r})"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case bytes():
            return f"{len(value)} bytes"
        case _:
            return f"a value of type {type(value).__name__}"


def there_is(document: dict[str, Any]) -> str:
    """The names that the object has, to compare with the ones it should have."""
    return f"there is {listed(document)}" if document else "the object is empty"


def listed(names: Iterable[str]) -> str:
    """The first of some names in quotes, and how many more there are."""
    every = list(names)
    quoted = ", ".join(f'"{shortened(name)}"' for name in every[:_LISTED_NAMES])
    more = len(every) - _LISTED_NAMES
    return quoted + (f" and {more} more" if more > 0 else "")


def shortened(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}…"
