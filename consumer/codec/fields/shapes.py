"""The common shapes of paths, compiled to what is several times as fast as steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, groupby, product
from typing import Any, NamedTuple, TypeAlias

from consumer.codec.fields.conditions import condition
from consumer.codec.fields.located import Located, Places, is_false, plain
from consumer.codec.fields.steps import guard, step_of
from consumer.contracts.json_pointer import escaped
from consumer.settings.members import fits
from consumer.settings.ninjs import INSTEAD_OF_HEADLINE, KINDS, Texts, ninjs_texts, number_of
from consumer.settings.paths import Node, names_places

#: Places of lists whose pointers are made once.
_POINTERS = 64

#: The message that `ninjs()` read last, and its texts.
_LAST_NINJS: list[tuple[Any, tuple[Texts, ...]]] = [(None, ())]

#: What finds places, and whether they are a list even where it is one of one, or of none.
_Finder: TypeAlias = "tuple[Callable[[Any], Places], bool]"


def may_meet(trees: Sequence[Node]) -> bool:
    """Whether these paths could find one place twice, as far as their first names tell."""
    # Of alternatives one is taken, but any may be that of another path.
    heads = [[_head(one) for one in alternatives(tree)] for tree in trees]
    if any(None in of_one for of_one in heads):
        return True
    return any(
        _meet(*pair) for one, other in combinations(heads, 2) for pair in product(one, other)
    )


def _meet(one: _Heads | None, other: _Heads | None) -> bool:
    one, other = one or _Heads(()), other or _Heads(())
    if one.texts and other.texts:
        # No text of a news object is of two kinds or in two formats.
        return one.texts == other.texts
    return any(
        fits(first, second) or fits(second, first)
        for first, second in product(one.patterns, other.patterns)
    )


class _Heads(NamedTuple):
    """Patterns of the first names of a path that finds nothing twice; of `ninjs()` what it asks
    for as well."""

    patterns: tuple[str, ...]
    texts: tuple[str, ...] = ()


def _head(node: Node) -> _Heads | None:
    """The first names of a path; None where they are not known, or where it may find one twice."""
    if node["type"] in ("projection", "filter_projection"):
        node = node["children"][0]
    if node["type"] == "function_expression" and node["children"][0]["type"] == "current":
        first, *more = (child["value"] for child in node["children"][1:])
        if node["value"] == "members":
            return _Heads((first,))
        names = (f"{first}*", KINDS[first], *([INSTEAD_OF_HEADLINE] if first == "headline" else []))
        return _Heads(names, (first, *more))
    through = names_through(node)
    return _Heads(through[:1]) if through else None


def alternatives(tree: Node) -> list[Node]:
    if tree["type"] != "or_expression":
        return [tree]
    return [one for child in tree["children"] for one in alternatives(child)]


def fast_places(tree: Node) -> Callable[[Any], Places] | None:
    """What finds the places of `a.b`, `a.b[*].c`, `a.b[?c=='d'].e`, `members(@, 'a*')`, and of such
    with `||` between them; None for other paths."""
    found = _finders(alternatives(tree))
    if found is None:
        return None
    *before, (last, _) = found
    return _fast_or(tuple(before), last) if before else last


def _finders(every: Sequence[Node]) -> list[_Finder] | None:
    """What finds each of some alternatives; members of the message itself that follow one another
    are looked for in one go."""
    found: list[_Finder] = []
    for is_top, group in groupby(every, lambda one: len(names_through(one) or ()) == 1):
        if is_top:
            names = [(names_through(one) or ("",))[0] for one in group]
            found.append((_fast_first(names), False))
            continue
        for one in group:
            finder = _fast_one(one)
            if finder is None:
                return None
            found.append(finder)
    return found


def _fast_one(tree: Node) -> tuple[Callable[[Any], Places], bool] | None:
    """What finds the places, and whether it gives a list even of one."""
    names = names_through(tree)
    if names:
        return _fast_member(names), False
    if tree["type"] == "pipe":
        return _fast_item(*tree["children"])
    if tree["type"] == "and_expression" and not names_places(tree["children"][0]):
        return _fast_guarded(*tree["children"])
    if tree["type"] == "function_expression":
        left, *given = tree["children"]
        if left["type"] not in ("current", "identity"):
            return None
        values = [child["value"] for child in given]
        return (_fast_ninjs if tree["value"] == "ninjs" else _fast_members)(*values), True
    if tree["type"] not in ("projection", "filter_projection"):
        return None
    if tree["type"] == "filter_projection" and tree["children"][0]["type"] == "function_expression":
        return _fast_filtered(*tree["children"])
    before, after = map(names_through, tree["children"][:2])
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
            if found and (is_list or not is_false(found[0][1])):
                return found
        return last(document)

    return places


def _fast_first(names: Sequence[str]) -> Callable[[Any], Places]:
    members = [(name, "/" + escaped(name)) for name in names]

    def places(document: Any) -> Places:
        found: Places = []
        if isinstance(document, dict):
            for name, pointer in members:
                value = document.get(name)
                if value or (value is not None and not is_false(value)):
                    return [(pointer, value)]
                found = [] if value is None else [(pointer, value)]
        return found

    return places


def _fast_guarded(left: Node, right: Node) -> tuple[Callable[[Any], Places], bool] | None:
    """Of `!a && b[*].c`."""
    find = fast_places(right)
    kinds = {one is not None and one[1] for one in map(_fast_one, alternatives(right))}
    if find is None or len(kinds) > 1:
        return None
    holds, found = guard(left, _truth), find

    def places(document: Any) -> Places:
        return found(document) if holds(document) else []

    return places, kinds.pop()


def _fast_item(left: Node, right: Node) -> tuple[Callable[[Any], Places], bool] | None:
    """Of `a[*].b | [0]`."""
    inner = _fast_one(left)
    if inner is None or not inner[1] or right["type"] != "index_expression":
        return None
    first, *more = right["children"]
    if first["type"] != "identity" or len(more) != 1 or more[0]["type"] != "index":
        return None
    find, number = inner[0], more[0]["value"]
    cut = slice(number, number + 1 or None)

    def places(document: Any) -> Places:
        return find(document)[cut]

    return places, False


def _fast_filtered(
    left: Node, right: Node, asked: Node
) -> tuple[Callable[[Any], Places], bool] | None:
    """Of `members(@, 'a*')[?b]`."""
    inner = _fast_one(left)
    if inner is None or right["type"] != "identity":
        return None
    find, holds = inner[0], condition(asked)

    def places(document: Any) -> Places:
        return [(pointer, value) for pointer, value in find(document) if holds(value)]

    return places, True


def _fast_members(pattern: str) -> Callable[[Any], Places]:
    begin, star, more = pattern.partition("*")
    if star and not more:
        # The common pattern: to compare beginnings takes a fifth of a regular expression's time.
        def begun(document: Any) -> Places:
            if not isinstance(document, dict):
                return []
            return [
                ("/" + escaped(name), value)
                for name, value in document.items()
                if name.startswith(begin) and value is not None
            ]

        return begun

    def places(document: Any) -> Places:
        if not isinstance(document, dict):
            return []
        return [
            ("/" + escaped(name), value)
            for name, value in document.items()
            if value is not None and fits(name, pattern)
        ]

    return places


def _fast_ninjs(kind: str, text_format: str) -> Callable[[Any], Places]:
    number = number_of(kind, text_format)

    def places(document: Any) -> Places:
        # A preset asks for six of them in a row. Another thread may have asked meanwhile, so what
        # was read is taken out in one piece.
        of, texts = _LAST_NINJS[0]
        if of is not document:
            if not isinstance(document, dict):
                return []
            texts = ninjs_texts(document)
            _LAST_NINJS[0] = (document, texts)
        return texts[number]

    return places


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


def _truth(node: Node) -> Callable[[Any], bool]:
    """Whether a part of a path is true of a value: whether it finds something."""
    finders = _finders(alternatives(node))
    if finders is not None:
        known = tuple(finders)

        def finds(value: Any) -> bool:
            for find, is_list in known:
                found = find(value)
                if found and (is_list or not is_false(found[0][1])):
                    return True
            return False

        return finds
    step = step_of(node)
    return lambda value: not is_false(plain(step(Located(value, ""))))


def names_through(node: Node) -> tuple[str, ...] | None:
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
