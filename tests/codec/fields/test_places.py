"""Compiled paths find what jmespath finds, and say where it stood."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer.codec.fields.places import ConditionFailed, compiled, may_meet, resolve
from consumer.settings.members import Functions
from consumer.settings.ninjs import FORMATS
from consumer.settings.paths import PathFault, parsed

MESSAGE = {
    "headline": "H",
    "payload": {"after": {"body": "B"}},
    "headlines": [{"role": "main", "value": "one"}, {"value": None}, {"value": "two"}],
    "bodies": [
        {"contenttype": "text/plain", "value": "plain"},
        {"contenttype": "text/html", "value": "<p>html"},
        {"value": "bare"},
        "no object",
    ],
    "a.b": {"c d": "dots and spaces", "/~": "slash and tilde"},
    "body_text": "1",
    "body_main": "2",
    "paragraphs": ["p", "", "q"],
    "nested": [["a"], ["b", ["c"]], "d"],
    "n": 0,
    "counts_a": 1,
    "counts_b": "x",
    "typed": [
        {"t": "text/plain; a=b", "v": "1"},
        {"t": 5, "v": "2"},
        {"t": ["text/plain"], "v": "3"},
        {"t": {"text": 1}, "v": "4"},
        {"v": "5"},
        {"t": True, "v": "6"},
        "no object",
    ],
}


def judged(path: str, document: Any) -> Any:
    """What jmespath finds."""
    return jmespath.search(path, document, jmespath.Options(custom_functions=Functions()))


@pytest.mark.parametrize(
    ("path", "pointers"),
    [
        ("headline", ["/headline"]),
        ("payload.after.body", ["/payload/after/body"]),
        ("headlines[*].value", ["/headlines/0/value", "/headlines/2/value"]),
        ("headlines[].value", ["/headlines/0/value", "/headlines/2/value"]),
        ("headlines[-1].value", ["/headlines/2/value"]),
        ("headlines[1:].value", ["/headlines/2/value"]),
        ("headlines[::-1].value", ["/headlines/2/value", "/headlines/0/value"]),
        ("headlines[*].value | [1]", ["/headlines/2/value"]),
        ("bodies[?contenttype=='text/plain'].value", ["/bodies/0/value"]),
        ("bodies[?'text/plain'==contenttype].value", ["/bodies/0/value"]),
        ("bodies[?@.contenttype=='text/plain'].value", ["/bodies/0/value"]),
        ("bodies[?contenttype!='text/plain'].value", ["/bodies/1/value", "/bodies/2/value"]),
        ("bodies[?!contenttype].value", ["/bodies/2/value"]),
        (
            "bodies[?contenttype && contains(contenttype, 'html')].value",
            ["/bodies/1/value"],
        ),
        ("bodies[?contenttype=='x'].value || bodies[0].value", ["/bodies/0/value"]),
        ("nothing || headline", ["/headline"]),
        ("headline && payload.after.body", ["/payload/after/body"]),
        ("n || headline", ["/n"]),
        ("!nothing && headline", ["/headline"]),
        ("!headline && payload.after.body", []),
        ("(!nothing && headline) || n", ["/headline"]),
        (
            "!(nothing || bodies[?contenttype=='x'].value) && headlines[0].value",
            ["/headlines/0/value"],
        ),
        ("!(nothing || headlines[*].value) && headline", []),
        ("!(payload | before) && headline", ["/headline"]),
        ("headline=='H' && n", ["/n"]),
        (
            "(headline=='H' && !nothing || nothing=='x') && (headlines[*].value | [0])",
            ["/headlines/0/value"],
        ),
        ("length(headline) > `9` && n", []),
        ("bodies[*].value | [-1]", ["/bodies/2/value"]),
        ('"a.b"."c d"', ["/a.b/c d"]),
        ('"a.b"."/~"', ["/a.b/~1~0"]),
        ("*.after.body", ["/payload/after/body"]),
        ("[headline, payload.after.body]", ["/headline", "/payload/after/body"]),
        ("payload.[after.body, before.body]", ["/payload/after/body"]),
        ("members(@, 'body_*')", ["/body_text", "/body_main"]),
        ("members(@, 'body_*') | [0]", ["/body_text"]),
        ("members(@, 'counts_*')[?type(@)=='string']", ["/counts_b"]),
        ("members(@, 'counts_*')[?type(@)=='string'] | [0]", ["/counts_b"]),
        ("nothing || members(@, 'counts_*')[?type(@)=='string']", ["/counts_b"]),
        ("members(@, '*')[?v].v", []),
        ("typed[?starts_with(to_string(t), 'text/plain')].v", ["/typed/0/v"]),
        ("typed[?starts_with(to_string(t), '5')].v", ["/typed/1/v"]),
        ("typed[?starts_with(to_string(t), '[\"text')].v", ["/typed/2/v"]),
        ("typed[?starts_with(to_string(t), '{\"text')].v", ["/typed/3/v"]),
        ("typed[?starts_with(to_string(t), 'null')].v", ["/typed/4/v"]),
        ("typed[?starts_with(to_string(t), 'true')].v", ["/typed/5/v"]),
        ("typed[?t && starts_with(to_string(@.t), 'text')].v", ["/typed/0/v"]),
        ("typed[?type(@)=='string']", ["/typed/6"]),
        ("ninjs(@, 'headline', 'plain')", ["/headlines/0/value", "/headlines/2/value"]),
        ("ninjs(@, 'body', 'plain') | [0]", ["/bodies/0/value"]),
        ("ninjs(@, 'body', 'html')", []),
        ("ninjs(payload.after, 'body', 'plain')", ["/payload/after/body"]),
        ("ninjs(headline, 'body', 'plain')", []),
        ("payload.*.ninjs(@, 'body', 'plain')", ["/payload/after/body"]),
        ("payload.*[?ninjs(@, 'body', 'plain')].body", []),
        ("[payload.after][?ninjs(@, 'body', 'plain')].body", ["/payload/after/body"]),
        ("!ninjs(@, 'body', 'html') && headline", ["/headline"]),
        ("members(payload, '*')[*].body", ["/payload/after/body"]),
        ("paragraphs[*]", ["/paragraphs/0", "/paragraphs/1", "/paragraphs/2"]),
        ("nested[]", ["/nested/0/0", "/nested/1/0", "/nested/1/1", "/nested/2"]),
        ("nested[][]", ["/nested/0/0", "/nested/1/0", "/nested/1/1/0", "/nested/2"]),
        ("nested[*][0]", ["/nested/0/0", "/nested/1/0"]),
        ("headline.value", []),
        ("headlines.value", []),
        ("payload[*]", []),
        ("headlines[9].value", []),
        ("members(headlines, '*')", []),
    ],
)
def test_a_path_finds_places_in_the_order_of_the_message(path: str, pointers: list[str]) -> None:
    found = compiled(parsed(path))(MESSAGE)
    assert [pointer for pointer, _ in found] == pointers
    for pointer, value in found:
        assert resolve(MESSAGE, pointer) is value


def test_more_items_than_have_pointers_made_beforehand() -> None:
    document = {"a": [{"b": str(number)} for number in range(200)]}
    found = compiled(parsed("a[*].b"))(document)
    assert found == [(f"/a/{number}/b", str(number)) for number in range(200)]


@pytest.mark.parametrize(
    "path", ["bodies[?contains(contenttype, 'html')].value", "bodies[?length(value) > 'a'].value"]
)
def test_a_condition_that_cannot_be_computed_says_so(path: str) -> None:
    with pytest.raises(ConditionFailed) as caught:
        compiled(parsed(path))(MESSAGE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("paths", "answer"),
    [
        (["headline", "bodies[*].value"], False),
        (["a.b", "a.c"], True),
        (["a", "a"], True),
        (["a || b", "c"], False),
        (["a || b", "b"], True),
        (["a || a.b"], False),
        (["[a, a]"], True),
        (["*.x"], True),
        (["!a && a"], True),
        (["members(@, 'a*')", "b"], False),
        (["members(@, 'a*')", "ab"], True),
        (["members(b, 'a*')"], True),
        (["ninjs(@, 'body', 'plain')", "ninjs(@, 'body', 'html')"], False),
        (["ninjs(@, 'body', 'plain')", "ninjs(@, 'headline', 'plain')"], False),
        (["ninjs(@, 'body', 'plain')", "ninjs(@, 'body', 'plain')"], True),
        (["ninjs(@, 'body', 'plain')", "bodies[*].value"], True),
        (["ninjs(@, 'body', 'plain')", "body_main"], True),
        (["ninjs(@, 'headline', 'plain')", "title"], True),
        (["ninjs(@, 'body', 'plain')", "title"], False),
        (["ninjs(a, 'body', 'plain')"], True),
    ],
)
def test_paths_that_may_find_a_place_twice(paths: list[str], answer: bool) -> None:
    assert may_meet([parsed(path) for path in paths]) is answer


# --- Any path in any message

_names = st.sampled_from(["a", "b", "c", "a b", "c/d", "~", ""])
_leaves = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x", "y", "xy"])
_documents = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)


def _quoted(name: str) -> str:
    return name if name.isalpha() else f'"{name}"'


_fields = _names.map(_quoted)
_conditions = st.recursive(
    st.one_of(
        _fields,
        st.just("@"),
        st.builds("{}=='{}'".format, _fields, st.sampled_from(["", "x", "xy"])),
        st.builds("{}!='{}'".format, _fields, st.sampled_from(["", "x"])),
        st.builds("`1`=={}".format, _fields),
        st.builds("{} < `2`".format, _fields),
        st.builds("type({})=='string'".format, _fields),
        st.builds("{}[0]".format, _fields),
    ),
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=3,
)
_tails = st.lists(
    st.one_of(
        _fields.map(".{}".format),
        st.sampled_from(["[*]", "[]", "[0]", "[-1]", "[1:]", "[::-1]", ".*", " | [0]", " | @"]),
        _conditions.map("[?{}]".format),
        st.builds(".[{}, {}]".format, _fields, _fields),
    ),
    max_size=4,
).map("".join)
_simple = st.builds("{}{}".format, _fields, _tails)
_paths = st.one_of(
    _simple,
    st.builds("{} || {}".format, _simple, _simple),
    st.builds("{} || {} || {}".format, _simple, _simple, _simple),
    st.builds("({} && {})".format, _simple, _simple),
    st.builds("members(@, '{}'){}".format, st.sampled_from(["a*", "*", "*b", "a"]), _tails),
    st.builds("ninjs({}, 'body', '{}'){}".format, _fields, st.sampled_from(FORMATS), _tails),
    st.builds("[{}, {}]".format, _simple, _simple),
    st.builds("!{} && ({})".format, _fields, _simple),
    st.builds("!({} || {}) && {} | [0]".format, _simple, _simple, _simple),
    st.builds("({} && {}) || {}".format, _conditions, _simple, _simple),
)


@settings(max_examples=500, deadline=None)
@given(path=_paths, document=st.dictionaries(_names, _documents, max_size=4))
@example(path="a || b[*]", document={"a": "", "b": ["x"]})
@example(path="a[*] || b", document={"a": [None], "b": "x"})
def test_any_path_finds_what_jmespath_finds(path: str, document: dict[str, Any]) -> None:
    try:
        tree = parsed(path)
    except PathFault:
        return
    try:
        found = compiled(tree)(document)
    except ConditionFailed:
        with pytest.raises(TypeError):
            judged(path, document)
        return
    for pointer, value in found:
        assert resolve(document, pointer) is value
    assert _unfolded([value for _, value in found]) == _unfolded([judged(path, document)])


def _unfolded(values: list[Any]) -> list[Any]:
    """Without the lists: jmespath does not tell one of the message from one that it made."""
    flat: list[Any] = []
    for value in values:
        if isinstance(value, list):
            flat.extend(_unfolded(value))
        # A condition before `&&` that does not hold is false to jmespath, and nothing to us.
        elif value is not None and value is not False:
            flat.append((type(value), value))
    return flat
