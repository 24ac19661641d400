"""Where something stands in a message: a plain name, or a path in JMESPath (jmespath.org).

A setting is a plain name unless it holds a character with which JMESPath goes further than a name.
A path must name places in the message, so that it can be said where a text stood: functions,
literals and comparisons make values of their own, and belong into a filter, `[?...]`, or in front
of `&&`, as in `!summary && body`. Two functions are ours and name places:
`members(@, 'body_*')`, the members whose names fit a pattern, and `ninjs(@, 'body', 'plain')`, the
texts of a news object.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias, cast

import jmespath
from jmespath import exceptions

from consumer.settings.members import Functions
from consumer.settings.ninjs import FORMATS, KINDS

#: A node of the tree that jmespath parses a path into.
Node: TypeAlias = dict[str, Any]

_PATH_MARKS = frozenset(".[]{}()*|&!@?\"'`,=<>")

#: What JMESPath makes values of that stand nowhere in the message, by the names of its tree.
_MAKES_VALUES = {
    "literal": "a literal",
    "multi_select_dict": "an object in braces",
    "comparator": "a comparison",
    "not_expression": "a negation",
    "expref": "a reference to an expression",
}

#: Functions that name places, and how they are called.
PLACE_FUNCTIONS = {
    "members": "members(@, 'body_*')",
    "ninjs": "ninjs(@, 'body', 'plain')",
}

#: Nodes of a path's tree inside one another, of which each takes a few calls in one another.
_MAX_DEPTH = 100

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Functions of JMESPath that take any number of arguments have this in their signature.
_VARIADIC = "variadic"


class PathFault(ValueError):
    """What is wrong with a path, and what would be right."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(" ".join(f"{problem}; {remedy}".split()))
        # A path may hold line ends; an error is one line.
        self.problem = " ".join(problem.split())
        self.remedy = " ".join(remedy.split())


def is_path(setting: str) -> bool:
    """Whether a setting is a path; else it is the name of a field."""
    return not _PATH_MARKS.isdisjoint(setting)


def split(text: str) -> tuple[str, ...]:
    """Names and paths that are separated by commas; those within brackets and quotes separate
    nothing."""
    parts, depth, quote, begin, at = [], 0, "", 0, 0
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "\"'`":
            quote = character
        elif character in "[({":
            depth += 1
        elif character in "])}":
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append(text[begin:at])
            begin = at + 1
        at += 1
    parts.append(text[begin:])
    return tuple(part.strip() for part in parts if part.strip())


@lru_cache(maxsize=256)
def parsed(path: str) -> Node:
    """The tree of a path that names places.

    Raises:
        PathFault: it is not JMESPath, or makes values that stand nowhere in the message.
    """
    try:
        with warnings.catch_warnings():
            # An old spelling of literals, which jmespath goes on to take.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            # The stubs have a node for each type; what walks the tree asks for the type by name.
            tree = cast(Node, jmespath.compile(path).parsed)
    except exceptions.EmptyExpressionError:
        raise PathFault("an empty path names nothing", "write a name or a path") from None
    except exceptions.LexerError as error:
        raise _unreadable(path, error.lexer_position, error.message) from None
    except exceptions.ParseError as error:
        raise _unreadable(path, error.lex_position, error.msg) from None
    except RecursionError:
        raise PathFault("the path is nested too deep", "write a shorter one") from None
    if _is_too_deep(tree):
        raise PathFault(
            "the path is nested too deep",
            f"write a shorter one: at most {_MAX_DEPTH} alternatives and brackets in one another",
        )
    _check_places(tree, path)
    return tree


def member_names(path: str) -> tuple[str, ...]:
    """The names that a path to one member goes through: `x.nerstream` gives x, nerstream.

    Raises:
        PathFault: it is no path of names alone.
    """
    if not is_path(path):
        return (path,)
    tree = parsed(path)
    children = tree["children"] if tree["type"] == "subexpression" else [tree]
    if any(child["type"] != "field" for child in children):
        raise PathFault(
            f'"{path}" is more than names', "it must be names with dots between them, such as x.y"
        )
    return tuple(child["value"] for child in children)


def leading_names(path: str) -> tuple[tuple[str, ...], bool]:
    """The names that a path begins with, and whether it is nothing more: of `a.b[*].c` a and b."""
    return _leading(parsed(path)) if is_path(path) else ((path,), True)


def _leading(node: Node) -> tuple[tuple[str, ...], bool]:
    match node["type"]:
        case "field":
            return (node["value"],), True
        case "identity":
            return (), True
        case "subexpression" | "index_expression" | "pipe":
            names: tuple[str, ...] = ()
            for child in node["children"]:
                more, is_whole = _leading(child)
                names += more
                if not is_whole:
                    return names, False
            return names, True
        case "projection" | "filter_projection" | "flatten":
            return _leading(node["children"][0])[0], False
        case _:
            return (), False


def names_places(node: Node) -> bool:
    """Whether a part of a path names places in the message, and so is more than a condition."""
    if node["type"] in _MAKES_VALUES:
        return False
    if node["type"] == "function_expression":
        return node["value"] in PLACE_FUNCTIONS
    places = node["children"][:2] if node["type"] == "filter_projection" else node["children"]
    return all(names_places(child) for child in places if isinstance(child, dict))


def _check_places(node: Node, path: str) -> None:
    """Look at what gives the result; conditions may compute what they like."""
    kind = node["type"]
    if kind in _MAKES_VALUES:
        raise PathFault(
            f'"{path}" has {_MAKES_VALUES[kind]} where it must name a place in the message',
            "comparisons and literals stand within [?...], or before &&",
        )
    if kind == "function_expression":
        if node["value"] not in PLACE_FUNCTIONS:
            raise PathFault(
                f'"{path}" takes the value of {node["value"]}(), which stands nowhere in the '
                "message",
                "a path must name places; functions stand within [?...]",
            )
        _check_function(node, path)
        _check_texts(node, path)
        _check_places(node["children"][0], path)
        return
    if kind == "slice":
        if node["children"][2] == 0:
            raise PathFault(f'"{path}" has a slice in steps of 0', "write another step")
        return
    places = node["children"]
    if kind == "and_expression" and not names_places(places[0]):
        # `!a && b` names b where there is no a.
        _check_condition(places[0], path)
        places = places[1:]
    if kind == "filter_projection":
        _check_condition(places[2], path)
        places = places[:2]
    for child in places:
        _check_places(child, path)


def _check_texts(node: Node, path: str) -> None:
    """Look at what a function that names places is given beside an object."""
    name, given = node["value"], node["children"][1:]
    remedy = f"write {PLACE_FUNCTIONS[name]}"
    values = [one["value"] for one in given if one["type"] == "literal"]
    if name == "members":
        if len(values) < 1 or not isinstance(values[0], str):
            raise PathFault(f'"{path}" gives members() no pattern', remedy)
        return
    for number, known in enumerate((tuple(KINDS), FORMATS)):
        if len(values) < len(given) or values[number] not in known:
            raise PathFault(
                f'"{path}" asks ninjs() for no text that it knows',
                f"{remedy}: one of {', '.join(KINDS)}, and one of {', '.join(FORMATS)}",
            )


def _check_condition(node: Node, path: str) -> None:
    for one in _nodes(node):
        if one["type"] == "function_expression":
            _check_function(one, path)
            if one["value"] == "ninjs":
                _check_texts(one, path)
        if one["type"] == "slice" and one["children"][2] == 0:
            raise PathFault(f'"{path}" has a slice in steps of 0', "write another step")
        if one["type"] != "comparator":
            continue
        right = one["children"][1]
        if right["type"] == "field" and not _IDENTIFIER.fullmatch(right["value"]):
            # In double quotes JMESPath has names; nothing would ever be equal to this one.
            raise PathFault(
                f'"{path}" compares with a field of the name {right["value"]}',
                f"text stands between single quotes: '{right['value']}'",
            )


def _check_function(node: Node, path: str) -> None:
    name, given = node["value"], len(node["children"])
    known = Functions.FUNCTION_TABLE
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean {close[0]}()?" if close else f"there are {', '.join(sorted(known))}"
        raise PathFault(f'"{path}": JMESPath has no function {name}()', remedy)
    signature = known[name]["signature"]
    variadic = bool(signature) and signature[-1].get(_VARIADIC, False)
    if given < len(signature) or (given > len(signature) and not variadic):
        least = "at least " if variadic else ""
        raise PathFault(
            f'"{path}" gives {name}() {given} arguments', f"it takes {least}{len(signature)}"
        )


def _is_too_deep(tree: Node) -> bool:
    level = [tree]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in node["children"] if isinstance(child, dict)]
        if not level:
            return False
    return True


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _nodes(child)


def _unreadable(path: str, position: int, reason: str) -> PathFault:
    if path.startswith("$"):
        return PathFault(
            f'"{path}" begins with $, as in JSONPath',
            "paths are JMESPath, which begins in the message: write "
            + (path[1:].strip().removeprefix(".") or "a name"),
        )
    if position >= len(path):
        where = "it ends too early"
    else:
        where = f"{_plain(reason)} at character {position + 1} ({path[position:][:20]})"
    return PathFault(
        f'"{path}" is no path: {where}',
        "write JMESPath, such as payload.body, headlines[*].value or "
        "bodies[?contenttype=='text/plain'].value; a name with dots or spaces stands in double "
        'quotes: "a.b".text',
    )


def _plain(reason: str) -> str:
    """What jmespath says of a fault, in one line and without its names of tokens."""
    line = reason.splitlines()[0] if reason else ""
    return "unexpected text" if not line or "xpecting" in line or "token" in line else line
