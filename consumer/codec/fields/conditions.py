"""Conditions of a path: comparing with text is compiled, the rest is left to jmespath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from jmespath.visitor import Options, TreeInterpreter

from consumer.codec.fields.located import is_false
from consumer.settings.members import Functions
from consumer.settings.paths import Node

_INTERPRETER = TreeInterpreter(Options(custom_functions=Functions()))


class ConditionFailed(ValueError):
    """A condition of a path that cannot be computed on this message."""


def condition(node: Node) -> Callable[[Any], bool]:
    """Whether a value meets the condition of a filter.

    What is given raises ConditionFailed where a function is called on what it does not take.
    """
    match node["type"]:
        case "or_expression":
            left, right = map(condition, node["children"])
            return lambda value: left(value) or right(value)
        case "and_expression":
            left, right = map(condition, node["children"])
            return lambda value: left(value) and right(value)
        case "not_expression":
            inner = condition(node["children"][0])
            return lambda value: not inner(value)
        case "field":
            name = node["value"]
            return lambda value: isinstance(value, dict) and not is_false(value.get(name))
        case "comparator" if node["value"] in ("eq", "ne"):
            compared = _compared_with_text(node)
            if compared is not None:
                name, text = compared
                if node["value"] == "eq":
                    return lambda value: isinstance(value, dict) and value.get(name) == text
                return lambda value: not isinstance(value, dict) or value.get(name) != text

    def holds(value: Any) -> bool:
        try:
            return not is_false(_INTERPRETER.visit(cast(Any, node), value))
        # Functions raise what they like on values that they do not take.
        except Exception as failure:
            raise ConditionFailed(" ".join(str(failure).split())) from failure

    return holds


def _compared_with_text(node: Node) -> tuple[str, str] | None:
    """Of a comparison of a field with text, both, whichever comes first."""
    one, other = node["children"]
    if one["type"] == "literal":
        one, other = other, one
    if one["type"] == "field" and other["type"] == "literal" and isinstance(other["value"], str):
        return one["value"], other["value"]
    return None
