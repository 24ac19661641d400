"""Any path, compiled to functions that carry the place of each value along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from consumer.codec.fields.conditions import condition
from consumer.codec.fields.located import Found, Located, Made, is_false, plain
from consumer.contracts.json_pointer import escaped
from consumer.settings.members import fits
from consumer.settings.ninjs import texts_of
from consumer.settings.paths import Node, names_places

Step: TypeAlias = Callable[[Any], Any]

#: Makes of a part of a path what says whether it is true of a value.
Truth: TypeAlias = Callable[[Node], Callable[[Any], bool]]


def step_of(node: Node) -> Step:
    """What a part of a path does: `Found` to `Found`."""
    return _STEPS[node["type"]](node)


def _field(node: Node) -> Step:
    name, part = node["value"], "/" + escaped(node["value"])

    def step(here: Found) -> Found:
        if type(here) is Located and isinstance(here.value, dict):
            value = here.value.get(name)
            if value is not None:
                return Located(value, here.pointer + part)
        return None

    return step


def _identity(_node: Node) -> Step:
    return lambda here: here


def _chain(node: Node) -> Step:
    steps = [step_of(child) for child in node["children"]]

    def step(here: Found) -> Found:
        for one in steps:
            here = one(here)
        return here

    return step


def _index(node: Node) -> Step:
    number = node["value"]

    def step(here: Found) -> Found:
        items = _items(here)
        if items is None or not -len(items) <= number < len(items):
            return None
        return _kept(items[number])

    return step


def _slice(node: Node) -> Step:
    cut = slice(*node["children"])

    def step(here: Found) -> Found:
        items = _items(here)
        return None if items is None else Made(items[cut])

    return step


def _projection(node: Node) -> Step:
    left, right = map(step_of, node["children"])

    def step(here: Found) -> Found:
        items = _items(left(here))
        return None if items is None else _each(items, right)

    return step


def _filter_projection(node: Node) -> Step:
    left, right = map(step_of, node["children"][:2])
    holds = condition(node["children"][2])

    def step(here: Found) -> Found:
        items = _items(left(here))
        if items is None:
            return None
        return _each([item for item in items if holds(plain(item))], right)

    return step


def _value_projection(node: Node) -> Step:
    left, right = map(step_of, node["children"])

    def step(here: Found) -> Found:
        found = left(here)
        if type(found) is not Located or not isinstance(found.value, dict):
            return None
        pointer = found.pointer
        items = [
            Located(value, f"{pointer}/{escaped(name)}") for name, value in found.value.items()
        ]
        return _each(items, right)

    return step


def _flatten(node: Node) -> Step:
    left = step_of(node["children"][0])

    def step(here: Found) -> Found:
        items = _items(left(here))
        if items is None:
            return None
        made = Made()
        for item in items:
            inner = _items(item)
            if inner is None:
                made.append(item)
            else:
                made.extend(inner)
        return made

    return step


def _or(node: Node) -> Step:
    left, right = map(step_of, node["children"])

    def step(here: Found) -> Found:
        found: Found = left(here)
        return right(here) if is_false(plain(found)) else found

    return step


def _and(node: Node) -> Step:
    condition_node, place = node["children"]
    if not names_places(condition_node):
        return _guarded(guard(condition_node), step_of(place))
    left, right = map(step_of, node["children"])

    def step(here: Found) -> Found:
        found: Found = left(here)
        return found if is_false(plain(found)) else right(here)

    return step


def _guarded(holds: Callable[[Any], bool], right: Step) -> Step:
    def step(here: Found) -> Found:
        return right(here) if holds(plain(here)) else None

    return step


def _multi_select_list(node: Node) -> Step:
    steps = [step_of(child) for child in node["children"]]

    def step(here: Found) -> Found:
        return None if _kept(here) is None else Made(one(here) for one in steps)

    return step


def _members(node: Node) -> Step:
    left, pattern = step_of(node["children"][0]), node["children"][1]["value"]

    def step(here: Found) -> Found:
        found = left(here)
        if type(found) is not Located or not isinstance(found.value, dict):
            return None
        return Made(
            Located(value, f"{found.pointer}/{escaped(name)}")
            for name, value in found.value.items()
            if value is not None and fits(name, pattern)
        )

    return step


def _ninjs(node: Node) -> Step:
    left = step_of(node["children"][0])
    kind, text_format = (child["value"] for child in node["children"][1:])

    def step(here: Found) -> Found:
        found = left(here)
        if type(found) is not Located or not isinstance(found.value, dict):
            return None
        return Made(
            Located(value, found.pointer + pointer)
            for pointer, value in texts_of(found.value, kind, text_format)
        )

    return step


def _place_function(node: Node) -> Step:
    return _ninjs(node) if node["value"] == "ninjs" else _members(node)


_STEPS: dict[str, Callable[[Node], Step]] = {
    "field": _field,
    "current": _identity,
    "identity": _identity,
    "subexpression": _chain,
    "index_expression": _chain,
    "pipe": _chain,
    "index": _index,
    "slice": _slice,
    "projection": _projection,
    "filter_projection": _filter_projection,
    "value_projection": _value_projection,
    "flatten": _flatten,
    "or_expression": _or,
    "and_expression": _and,
    "multi_select_list": _multi_select_list,
    "function_expression": _place_function,
}


def _items(found: Found) -> list[Any] | None:
    """The items of a list, each `Found`; None where it is no list."""
    if type(found) is Located:
        if isinstance(found.value, list):
            pointer = found.pointer
            return [Located(item, f"{pointer}/{at}") for at, item in enumerate(found.value)]
        return None
    return found  # type: ignore[return-value]


def _each(items: list[Any], right: Step) -> Made:
    made = Made()
    for item in items:
        found = _kept(right(item))
        if found is not None:
            made.append(found)
    return made


def _kept(found: Found) -> Found:
    """A null is as if it were not there."""
    return None if type(found) is Located and found.value is None else found


def guard(node: Node, truth: Truth | None = None) -> Callable[[Any], bool]:
    """Whether what stands before `&&` holds for a value.

    Args:
        truth: of the parts that name places; None asks what they find.
    """
    known = truth or _truth
    match node["type"]:
        case "not_expression":
            inner = guard(node["children"][0], known)
            return lambda value: not inner(value)
        case "or_expression" | "and_expression" if not names_places(node):
            left, right = (guard(child, known) for child in node["children"])
            if node["type"] == "or_expression":
                return lambda value: left(value) or right(value)
            return lambda value: left(value) and right(value)
        case _ if not names_places(node):
            return condition(node)
    return known(node)


def _truth(node: Node) -> Callable[[Any], bool]:
    step = step_of(node)
    return lambda value: not is_false(plain(step(Located(value, ""))))
