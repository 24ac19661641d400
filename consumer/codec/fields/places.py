"""A path, compiled: what it names in a message, each with its JSON Pointer (RFC 6901).

jmespath parses a path; what it gives of a message says nothing of where it stood. So the tree that
it parses is compiled to functions that carry the pointer along, and a condition is left to
jmespath where it is more than comparing with text. The tests hold the values against jmespath's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consumer.codec.fields.conditions import ConditionFailed
from consumer.codec.fields.located import Found, Located, Made, Places, resolve
from consumer.codec.fields.shapes import fast_places, may_meet
from consumer.codec.fields.steps import step_of
from consumer.settings.paths import Node

__all__ = ["ConditionFailed", "Places", "compiled", "may_meet", "resolve"]


def compiled(tree: Node) -> Callable[[Any], Places]:
    """What finds the places that a path names, in the order of the path and then of the message."""
    fast = fast_places(tree)
    if fast is not None:
        return fast
    step = step_of(tree)

    def places(document: Any) -> Places:
        found: Places = []
        _collect(step(Located(document, "")), found)
        return found

    return places


def _collect(found: Found, into: Places) -> None:
    if found is None:
        return
    if isinstance(found, Made):
        for item in found:
            _collect(item, into)
    elif found.value is not None:
        into.append((found.pointer, found.value))
