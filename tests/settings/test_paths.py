"""Names and paths: told apart, split, parsed, and refused with the remedy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.settings.paths import (
    PathFault,
    is_path,
    leading_names,
    member_names,
    parsed,
    split,
)


@pytest.mark.parametrize("name", ["title", "head line", "body-text", "über", "a/b", "$id", "1"])
def test_a_name_is_no_path(name: str) -> None:
    assert not is_path(name)


@pytest.mark.parametrize("path", ["a.b", "a[0]", '"a"', "a||b", "*", "members(@, 'a*')", "@"])
def test_a_path_is_one(path: str) -> None:
    assert is_path(path)
    assert parsed(path)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("a[", "it ends too early; write JMESPath"),
        ("a[?b=='c'", "it ends too early"),
        ("a..b", "at character 3 (.b)"),
        ("a.b-c", "at character 4 (-c)"),
        ("a.b c", "at character 5 (c)"),
        ("a.'b'", "at character 3"),
        ('a."b', "at character 3"),
        ("a[?b=c]", "at character"),
        ("", "an empty path names nothing"),
        ("$.headline", "JMESPath, which begins in the message: write headline"),
        ("$", "write a name"),
        ("'text'", "has a literal where it must name a place"),
        ("`1`", "has a literal"),
        ("a=='b'", "has a comparison"),
        ("!a.b", "has a negation"),
        ("!a && 'b'", "has a literal"),
        ("a && !b", "has a negation"),
        ("!zzz(a) && b", "JMESPath has no function zzz()"),
        ("{a: b}", "has an object in braces"),
        ("a.{b: c}", "has an object in braces"),
        ("a[*].length(b)", "takes the value of length(), which stands nowhere"),
        ("join(',', a[*].b)", "functions stand within [?...]"),
        ("members(@)", "gives members() 1 arguments; it takes 2"),
        ("members(@, a)", "gives members() no pattern; write members(@, 'body_*')"),
        ("members(@, `1`)", "gives members() no pattern"),
        ("members('a', 'b')", "has a literal"),
        ("ninjs(@, 'body')", "gives ninjs() 2 arguments; it takes 3"),
        (
            "ninjs(@, 'lead', 'plain')",
            "asks ninjs() for no text that it knows; write ninjs(@, 'body', 'plain'): one of"
            " headline, description, body, and one of plain, html",
        ),
        ("ninjs(@, 'body', html)", "asks ninjs() for no text that it knows"),
        ("a[?ninjs(@, 'body', 'xml')]", "asks ninjs() for no text that it knows"),
        ("ninjs('a', 'body', 'html')", "has a literal"),
        ("a[?lenght(b) > `1`]", "JMESPath has no function lenght(); did you mean length()?"),
        ("a[?zzz(b)]", "there are abs, avg"),
        ("a[?contains(b)]", "gives contains() 1 arguments; it takes 2"),
        ("a[?merge()]", "gives merge() 0 arguments; it takes at least 1"),
        ('a[?b=="text/plain"].c', "text stands between single quotes: 'text/plain'"),
        ("a[::0]", "a slice in steps of 0"),
        ("a[?b[::0]]", "a slice in steps of 0"),
        ("(" * 5_000, ""),
    ],
)
def test_a_path_that_names_no_places_is_refused(path: str, told: str) -> None:
    with pytest.raises(PathFault) as caught:
        parsed(path)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_commas_separate() -> None:
    assert split("a, b c,,'x,y', f(g, h)[i, j] ,`k,l`") == (
        "a",
        "b c",
        "'x,y'",
        "f(g, h)[i, j]",
        "`k,l`",
    )
    assert split(r"""'it\'s, so', b""") == (r"'it\'s, so'", "b")
    assert split("a)],b") == ("a)]", "b")
    assert split("'a,b") == ("'a,b",)
    assert split(" , ") == ()


def test_members_to_write_to() -> None:
    assert member_names("nerstream") == ("nerstream",)
    assert member_names('x."a.b".c') == ("x", "a.b", "c")
    for path in ("a[0]", "a.*", "a || b"):
        with pytest.raises(PathFault, match="is more than names"):
            member_names(path)


@settings(max_examples=500, deadline=None)
@given(text=st.text(alphabet="ab.[]*()?@|&!'\"`, 01:{}=<>\\$\n", max_size=25) | st.text())
def test_any_text_is_parsed_or_refused_in_one_line(text: str) -> None:
    split(text)
    fault = None
    try:
        parsed(text)
    except PathFault as found:
        fault = found
    assert fault is None or (fault.problem and "\n" not in str(fault))


@pytest.mark.parametrize("path", ["||".join(f"a{n}.b" for n in range(300)), "a" + "[]" * 300])
def test_a_path_that_would_take_too_many_calls_is_refused(path: str) -> None:
    with pytest.raises(PathFault, match="nested too deep"):
        parsed(path)


def test_a_path_of_many_names_is_none_too_deep() -> None:
    assert parsed("a" + ".a" * 5_000)
    assert parsed("||".join(f"a{n}.b" for n in range(90)))


@pytest.mark.parametrize(
    ("path", "names", "is_whole"),
    [
        ("a", ("a",), True),
        ("a.b.c", ("a", "b", "c"), True),
        ('"a.b".c', ("a.b", "c"), True),
        ("a.b[*].c", ("a", "b"), False),
        ("a[].c", ("a",), False),
        ("a[?b].c", ("a",), False),
        ("a.b[0].c", ("a", "b"), False),
        ("a | b.c", ("a", "b", "c"), True),
        ("a || b", (), False),
        ("*.a", (), False),
        ("members(@, 'a*')", (), False),
    ],
)
def test_the_names_that_a_path_begins_with(
    path: str, names: tuple[str, ...], is_whole: bool
) -> None:
    assert leading_names(path) == (names, is_whole)
