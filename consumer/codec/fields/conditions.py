"""Conditions of a path: comparing with text is compiled, the rest is left to jmespath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from jmespath.visitor import Options, TreeInterpreter

from consumer.codec.fields.located import is_false
from consumer.settings.members import Functions
from consumer.settings.paths import Node, parsed

_FUNCTIONS: Any = Functions()
_INTERPRETER = TreeInterpreter(Options(custom_functions=_FUNCTIONS))

#: `type(@)=='string'`, as it is parsed.
_IS_TEXT: Node = parsed("a[?type(@)=='string']")["children"][2]


class ConditionFailed(ValueError):
    """A condition of a path that cannot be computed on this message."""


def condition(node: Node) -> Callable[[Any], bool]:
    """Whether a value meets the condition of a filter.

    What is given raises ConditionFailed where a function is called on what it does not take.
    """
    source = _source(node)
    if source is not None:
        return _of_members(source)
    if node == _IS_TEXT:
        return lambda value: isinstance(value, str)
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

    def holds(value: Any) -> bool:
        try:
            return not is_false(_INTERPRETER.visit(cast(Any, node), value))
        # Functions raise what they like on values that they do not take.
        except Exception as failure:
            raise ConditionFailed(" ".join(str(failure).split())) from failure

    return holds


def _of_members(source: str) -> Callable[[Any], bool]:
    """A condition on members as one function: closures in closures take three times as long. All
    that comes from the path stands in the source as literals of text."""
    holds: Callable[[Any], bool] = eval(
        f"lambda members: {source}",
        {"is_false": is_false, "as_text": _as_text, "__builtins__": {}},
    )
    # What is no object has no members.
    otherwise = holds({})
    return lambda value: holds(value) if isinstance(value, dict) else otherwise


def _source(node: Node) -> str | None:
    """A condition that compares members or their beginnings with text, or asks whether they are
    there, in Python; None for one that does more."""
    match node["type"]:
        case "or_expression" | "and_expression":
            word = "or" if node["type"] == "or_expression" else "and"
            left, right = map(_source, node["children"])
            return None if left is None or right is None else f"({left} {word} {right})"
        case "not_expression":
            inner = _source(node["children"][0])
            return None if inner is None else f"(not {inner})"
        case "field":
            return f"(not is_false(members.get({node['value']!r})))"
        case "comparator" if node["value"] in ("eq", "ne"):
            compared = _compared_with_text(node)
            if compared is not None:
                sign = "==" if node["value"] == "eq" else "!="
                return f"(members.get({compared[0]!r}) {sign} {compared[1]!r})"
        case "function_expression" if node["value"] == "starts_with":
            begun = _begun_with_text(node)
            if begun is not None:
                return f"as_text(members.get({begun[0]!r})).startswith({begun[1]!r})"
    return None


def _begun_with_text(node: Node) -> tuple[str, str] | None:
    """Of `starts_with(to_string(a), 'b')`, which no value makes fail, both."""
    match node["children"]:
        case [
            {"type": "function_expression", "value": "to_string", "children": [asked]},
            {"type": "literal", "value": str(begin)},
        ] if asked["type"] == "field":
            return asked["value"], begin
    return None


def _as_text(value: Any) -> str:
    """JMESPath's `to_string`; of the values that most often stand there, at once."""
    if isinstance(value, str):
        return value
    text: str = "null" if value is None else _FUNCTIONS.call_function("to_string", [value])
    return text


def _compared_with_text(node: Node) -> tuple[str, str] | None:
    """Of a comparison of a field with text, both, whichever comes first."""
    one, other = node["children"]
    if one["type"] == "literal":
        one, other = other, one
    if one["type"] == "field" and other["type"] == "literal" and isinstance(other["value"], str):
        return one["value"], other["value"]
    return None
