"""A path, compiled: what it names in a message, each with its JSON Pointer (RFC 6901).

jmespath parses a path; what it gives of a message says nothing of where it stood. So the tree that
it parses is compiled to functions that carry the pointer along, and a condition is left to
jmespath where it is more than comparing with text. The tests hold the values against jmespath's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

from jmespath.visitor import Options, TreeInterpreter

from consumer.settings.members import Functions, fits
from consumer.settings.paths import Node

#: What a compiled path gives of a message: values that are not null, each with its pointer.
Places: TypeAlias = "list[tuple[str, Any]]"

#: Places of lists whose pointers are made once.
_POINTERS = 64

_INTERPRETER = TreeInterpreter(Options(custom_functions=Functions()))


class Located(NamedTuple):
    """A value of the message, and its pointer."""

    value: Any
    pointer: str


class Made(list[Any]):
    """A list that stands nowhere: what a projection gives, its items `_Found`."""


#: A value with its place, a list of such, or None where the path finds nothing.
_Found: TypeAlias = "Located | Made | None"
_Step: TypeAlias = Callable[[Any], Any]


class ConditionFailed(ValueError):
    """A condition of a path that cannot be computed on this message."""


def compiled(tree: Node) -> Callable[[Any], Places]:
    """What finds the places that a path names, in the order of the path and then of the message."""
    fast = _fast(tree)
    if fast is not None:
        return fast
    step = step_of(tree)

    def places(document: Any) -> Places:
        found: Places = []
        _collect(step(Located(document, "")), found)
        return found

    return places


def escaped(name: str) -> str:
    """A name as a part of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def resolve(document: Any, pointer: str) -> Any:
    """What stands at a JSON Pointer.

    Raises:
        LookupError: nothing does.
    """
    value = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def _collect(found: _Found, into: Places) -> None:
    if found is None:
        return
    if isinstance(found, Made):
        for item in found:
            _collect(item, into)
    elif found.value is not None:
        into.append((found.pointer, found.value))


# --- Any path


def step_of(node: Node) -> _Step:
    """What a part of a path does: `_Found` to `_Found`."""
    return _STEPS[node["type"]](node)


def _field(node: Node) -> _Step:
    name, part = node["value"], "/" + escaped(node["value"])

    def step(here: _Found) -> _Found:
        if type(here) is Located and isinstance(here.value, dict):
            value = here.value.get(name)
            if value is not None:
                return Located(value, here.pointer + part)
        return None

    return step


def _identity(_node: Node) -> _Step:
    return lambda here: here


def _chain(node: Node) -> _Step:
    steps = [step_of(child) for child in node["children"]]

    def step(here: _Found) -> _Found:
        for one in steps:
            here = one(here)
        return here

    return step


def _index(node: Node) -> _Step:
    number = node["value"]

    def step(here: _Found) -> _Found:
        items = _items(here)
        if items is None or not -len(items) <= number < len(items):
            return None
        return _kept(items[number])

    return step


def _slice(node: Node) -> _Step:
    cut = slice(*node["children"])

    def step(here: _Found) -> _Found:
        items = _items(here)
        return None if items is None else Made(items[cut])

    return step


def _projection(node: Node) -> _Step:
    left, right = map(step_of, node["children"])

    def step(here: _Found) -> _Found:
        items = _items(left(here))
        return None if items is None else _each(items, right)

    return step


def _filter_projection(node: Node) -> _Step:
    left, right = map(step_of, node["children"][:2])
    holds = condition(node["children"][2])

    def step(here: _Found) -> _Found:
        items = _items(left(here))
        if items is None:
            return None
        return _each([item for item in items if holds(_plain(item))], right)

    return step


def _value_projection(node: Node) -> _Step:
    left, right = map(step_of, node["children"])

    def step(here: _Found) -> _Found:
        found = left(here)
        if type(found) is not Located or not isinstance(found.value, dict):
            return None
        pointer = found.pointer
        items = [
            Located(value, f"{pointer}/{escaped(name)}") for name, value in found.value.items()
        ]
        return _each(items, right)

    return step


def _flatten(node: Node) -> _Step:
    left = step_of(node["children"][0])

    def step(here: _Found) -> _Found:
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


def _or(node: Node) -> _Step:
    left, right = map(step_of, node["children"])

    def step(here: _Found) -> _Found:
        found: _Found = left(here)
        return right(here) if _is_false(_plain(found)) else found

    return step


def _and(node: Node) -> _Step:
    left, right = map(step_of, node["children"])

    def step(here: _Found) -> _Found:
        found: _Found = left(here)
        return found if _is_false(_plain(found)) else right(here)

    return step


def _multi_select_list(node: Node) -> _Step:
    steps = [step_of(child) for child in node["children"]]

    def step(here: _Found) -> _Found:
        return None if _kept(here) is None else Made(one(here) for one in steps)

    return step


def _members(node: Node) -> _Step:
    left, pattern = step_of(node["children"][0]), node["children"][1]["value"]

    def step(here: _Found) -> _Found:
        found = left(here)
        if type(found) is not Located or not isinstance(found.value, dict):
            return None
        return Made(
            Located(value, f"{found.pointer}/{escaped(name)}")
            for name, value in found.value.items()
            if value is not None and fits(name, pattern)
        )

    return step


_STEPS: dict[str, Callable[[Node], _Step]] = {
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
    "function_expression": _members,
}


def _items(found: _Found) -> list[Any] | None:
    """The items of a list, each `_Found`; None where it is no list."""
    if type(found) is Located:
        if isinstance(found.value, list):
            pointer = found.pointer
            return [Located(item, f"{pointer}/{at}") for at, item in enumerate(found.value)]
        return None
    return found  # type: ignore[return-value]


def _each(items: list[Any], right: _Step) -> Made:
    made = Made()
    for item in items:
        found = _kept(right(item))
        if found is not None:
            made.append(found)
    return made


def _kept(found: _Found) -> _Found:
    """A null is as if it were not there."""
    return None if type(found) is Located and found.value is None else found


def _plain(found: _Found) -> Any:
    """The value without its place, as jmespath would have it."""
    if isinstance(found, Made):
        return [_plain(item) for item in found]
    return None if found is None else found.value


def _is_false(value: Any) -> bool:
    """What JMESPath takes for false. By type: 0 is not."""
    return value is None or value is False or (isinstance(value, (str, list, dict)) and not value)


# --- Conditions


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
            return lambda value: isinstance(value, dict) and not _is_false(value.get(name))
        case "comparator" if node["value"] in ("eq", "ne"):
            compared = _compared_with_text(node)
            if compared is not None:
                name, text = compared
                if node["value"] == "eq":
                    return lambda value: isinstance(value, dict) and value.get(name) == text
                return lambda value: not isinstance(value, dict) or value.get(name) != text

    def holds(value: Any) -> bool:
        try:
            return not _is_false(_INTERPRETER.visit(cast(Any, node), value))
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


# --- The common shapes, several times as fast


def may_meet(trees: Sequence[Node]) -> bool:
    """Whether these paths could find one place twice, as far as their first names tell."""
    heads: list[str] = []
    for tree in trees:
        for alternative in _alternatives(tree):
            head = _head(alternative)
            if head is None:
                return True
            heads.append(head)
        # Of alternatives one is taken, but any may be that of another path.
    return len(set(heads)) < len(heads) and len(trees) > 1


def _head(node: Node) -> str | None:
    """The first name of a path that finds nothing twice; None where that is not known."""
    if node["type"] in ("projection", "filter_projection"):
        node = node["children"][0]
    names = _names(node)
    return names[0] if names else None


def _alternatives(tree: Node) -> list[Node]:
    if tree["type"] != "or_expression":
        return [tree]
    return [one for child in tree["children"] for one in _alternatives(child)]


def _fast(tree: Node) -> Callable[[Any], Places] | None:
    """What finds the places of `a.b`, `a.b[*].c`, `a.b[?c=='d'].e`, `members(@, 'a*')`, and of such
    with `||` between them; None for other paths."""
    found = [_fast_one(one) for one in _alternatives(tree)]
    if None in found:
        return None
    *before, last = [one for one in found if one is not None]
    return _fast_or(tuple(before), last[0]) if before else last[0]


def _fast_one(tree: Node) -> tuple[Callable[[Any], Places], bool] | None:
    """What finds the places, and whether it gives a list even of one."""
    names = _names(tree)
    if names:
        return _fast_member(names), False
    if tree["type"] == "function_expression":
        left, pattern = tree["children"]
        is_top = left["type"] in ("current", "identity")
        return (_fast_members(pattern["value"]), True) if is_top else None
    if tree["type"] not in ("projection", "filter_projection"):
        return None
    before, after = map(_names, tree["children"][:2])
    if not before or after is None or len(after) > 1:
        return None
    holds = None
    if tree["type"] == "filter_projection":
        holds = condition(tree["children"][2])
    return _fast_list(before, holds, after[0] if after else None), True


def _fast_or(
    before: tuple[tuple[Callable[[Any], Places], bool], ...], last: Callable[[Any], Places]
) -> Callable[[Any], Places]:
    def places(document: Any) -> Places:
        for find, is_list in before:
            found = find(document)
            if found and (is_list or not _is_false(found[0][1])):
                return found
        return last(document)

    return places


def _fast_members(pattern: str) -> Callable[[Any], Places]:
    def places(document: Any) -> Places:
        if not isinstance(document, dict):
            return []
        return [
            ("/" + escaped(name), value)
            for name, value in document.items()
            if value is not None and fits(name, pattern)
        ]

    return places


def _names(node: Node) -> tuple[str, ...] | None:
    """The names that a node goes through; none for the identity, None where it is more."""
    if node["type"] == "identity":
        return ()
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] == "subexpression" and all(
        child["type"] == "field" for child in node["children"]
    ):
        return tuple(child["value"] for child in node["children"])
    return None


def _fast_member(names: tuple[str, ...]) -> Callable[[Any], Places]:
    *outer, last = names
    pointer = "".join("/" + escaped(name) for name in names)

    def places(document: Any) -> Places:
        for name in outer:
            if not isinstance(document, dict):
                return []
            document = document.get(name)
        if not isinstance(document, dict):
            return []
        value = document.get(last)
        return [] if value is None else [(pointer, value)]

    return places


def _fast_list(
    names: tuple[str, ...], holds: Callable[[Any], bool] | None, last: str | None
) -> Callable[[Any], Places]:
    begin = "".join("/" + escaped(name) for name in names) + "/"
    end = "" if last is None else "/" + escaped(last)
    pointers = [f"{begin}{number}{end}" for number in range(_POINTERS)]

    def places(document: Any) -> Places:
        for name in names:
            if not isinstance(document, dict):
                return []
            document = document.get(name)
        if not isinstance(document, list):
            return []
        found: Places = []
        for number, item in enumerate(document):
            if holds is not None and not holds(item):
                continue
            if last is not None:
                item = item.get(last) if isinstance(item, dict) else None
            if item is not None:
                found.append(
                    (pointers[number] if number < _POINTERS else f"{begin}{number}{end}", item)
                )
        return found

    return places
