"""How far a path goes in a message, and what the message has where it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consumer.codec.described import described, listed, shortened
from consumer.codec.fields.conditions import ConditionFailed
from consumer.codec.fields.located import Located, Made
from consumer.codec.fields.steps import step_of
from consumer.settings.paths import Node, is_path, names_places


def way_to(setting: str, tree: Node, document: Any) -> str:
    """Why a path finds no text: `"a.b" finds nothing: /a has "c", "d"`.

    Args:
        setting: the path as it was written, or a name.
        tree: what it was parsed into.
        document: the message.
    """
    quoted = shortened_setting(setting)
    if not is_path(setting):
        if setting in document:
            return f'field "{quoted}" is {_empty(document[setting])}'
        return f'there is no field "{quoted}"; {_has("", document)}'
    here: list[Located] = [Located(document, "")]
    for step, node in _steps(tree):
        try:
            found = step(here[0]) if len(here) == 1 else Made(step(one) for one in here)
        except ConditionFailed as failure:
            return f'"{quoted}" finds nothing: {shortened(str(failure))}'
        after = _located(found)
        if not after:
            return f'"{quoted}" finds nothing: {_why(node, here)}'
        here = after
    return f'"{quoted}" finds no text: {_name(here[0].pointer)} is {_empty(here[0].value)}'


def shortened_setting(setting: str) -> str:
    """A path as an error quotes it."""
    return setting if len(setting) <= 80 else f"{setting[:80]}…"


def _steps(node: Node) -> list[tuple[Callable[[Any], Any], Node]]:
    """A path as steps after one another; of alternatives the first is followed."""
    match node["type"]:
        case "identity" | "current":
            return []
        case "subexpression" | "index_expression" | "pipe":
            return [step for child in node["children"] for step in _steps(child)]
        case "and_expression" if not names_places(node["children"][0]):
            return _steps(node["children"][1])
        case "or_expression" | "and_expression":
            return _steps(node["children"][0])
        case "projection" | "filter_projection" | "value_projection":
            left, right, *condition = node["children"]
            here: Node = {"type": "identity", "children": []}
            # By itself: what the elements are asked for afterwards is a step of its own.
            alone = {**node, "children": [here, here, *condition]}
            return [*_steps(left), (step_of(alone), node), *_steps(right)]
        case "flatten":
            alone = {**node, "children": [{"type": "identity", "children": []}]}
            return [*_steps(node["children"][0]), (step_of(alone), node)]
        case _:
            return [(step_of(node), node)]


def _located(found: Any) -> list[Located]:
    if isinstance(found, Made):
        return [one for item in found for one in _located(item)]
    return [] if found is None else [found]


def _why(node: Node, here: list[Located]) -> str:
    """Why a step leads nowhere from here."""
    first = here[0]
    match node["type"]:
        case "field":
            if not isinstance(first.value, dict):
                return f"{_name(first.pointer)} is {described(first.value)}"
            name = node["value"]
            if name in first.value:
                return f"{_name(first.pointer)} has null in {shortened(name)}"
            return _has(first.pointer, first.value)
        case "filter_projection" if isinstance(first.value, list) and first.value:
            return f"none of the {len(first.value)} in {_name(first.pointer)} meets its condition"
        case "function_expression" | "value_projection" if isinstance(first.value, dict):
            return _has(first.pointer, first.value)
        case _:
            return f"{_name(first.pointer)} is {described(first.value)}"


def _has(pointer: str, members: dict[str, Any]) -> str:
    return f"{_name(pointer)} has {listed(members)}" if members else f"{_name(pointer)} is empty"


def _name(pointer: str) -> str:
    return shortened(pointer) or "the message"


def _empty(value: Any) -> str:
    return "empty" if value == "" else described(value)
