"""Which texts of a news object of ninjs are read, of every version and as agencies write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.codec.fields.places import resolve
from consumer.settings.ninjs import FORMATS, KINDS, ninjs_texts, number_of, texts_of

PLAIN, HTML = FORMATS


def read(item: dict[str, Any], kind: str = "body") -> list[tuple[str, str]]:
    """Where the texts of a kind stand, each with the format that it is read in."""
    return [
        (pointer, text_format)
        for text_format in FORMATS
        for pointer, _ in texts_of(item, kind, text_format)
    ]


def bodies(*texts: dict[str, Any]) -> list[tuple[str, str]]:
    """The same of a list of bodies, each by its number."""
    found = read({"bodies": [{"value": "Ann", **one} for one in texts]})
    return [(pointer.split("/")[2], text_format) for pointer, text_format in found]


def test_what_is_given_stands_in_the_order_of_kinds_and_formats() -> None:
    item = {"headline": "A", "body_xhtml": "<p>B</p>", "description_text": "C"}
    found = ninjs_texts(item)
    assert len(found) == len(KINDS) * len(FORMATS)
    for kind in KINDS:
        for text_format in FORMATS:
            assert found[number_of(kind, text_format)] == texts_of(item, kind, text_format)


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        # Versions of one text: the plain one, or else HTML, or else the first.
        ([{"contenttype": "text/html"}, {"contenttype": "text/plain"}], [("1", PLAIN)]),
        ([{"contentType": "application/xhtml+xml"}, {"role": "text"}], [("1", PLAIN)]),
        ([{"role": "main"}, {"role": "richtext", "contenttype": "body_xhtml"}], [("0", PLAIN)]),
        ([{"role": "html5"}, {"role": "richhtml5"}], [("0", HTML)]),
        ([{"role": "ttnitf", "contenttype": "application/xml"}, {"role": "html5"}], [("1", HTML)]),
        ([{"contenttype": "application/xml"}, {"contenttype": "text/xml"}], [("0", HTML)]),
        ([{"contenttype": "text/nitf"}], [("0", HTML)]),
        # Texts of their own: all of them, each as it is.
        ([{"role": "main"}, {"role": "sidebar"}], [("0", PLAIN), ("1", PLAIN)]),
        (
            [{"contenttype": "text/html"}, {"contenttype": "text/html"}],
            [("0", HTML), ("1", HTML)],
        ),
        (
            [
                {"role": "main", "contenttype": "text/plain"},
                {"role": "sidebar", "contenttype": "text/html"},
                {"role": "sidebar_nitf"},
            ],
            [("0", PLAIN), ("1", HTML)],
        ),
        (
            [
                {"role": "de", "contenttype": "text/html"},
                {"role": "fr", "contenttype": "text/html"},
            ],
            [("0", HTML), ("1", HTML)],
        ),
        # Media types in capitals, with parameters, shortened, or none at all.
        ([{"contenttype": "Text/HTML; charset=UTF-8"}], [("0", HTML)]),
        ([{"contentType": "TEXT/PLAIN;charset=utf-8", "role": "xhtml"}], [("0", PLAIN)]),
        ([{"contenttype": "html"}], [("0", HTML)]),
        ([{"contenttype": "plain", "role": "x"}], [("0", PLAIN)]),
        ([{"contenttype": "text/markdown"}], [("0", PLAIN)]),
        ([{"contenttype": ""}], [("0", PLAIN)]),
        # What says nothing is told by how it looks.
        ([{"value": "<p>Ann</p>"}], [("0", HTML)]),
        ([{"value": "\n<!-- x --><div class='a'>Ann</div>\n"}], [("0", HTML)]),
        ([{"value": "<p>Ann</p>", "contenttype": "text/plain"}], [("0", PLAIN)]),
        ([{"value": "<Bern> Ann came"}], [("0", PLAIN)]),
        ([{"value": "Ann <ann@example.org>"}], [("0", PLAIN)]),
        ([{"value": "<3 Ann >"}], [("0", PLAIN)]),
        # A stranger's.
        ([{"role": ["x"]}, {"role": 5, "value": "B"}], [("0", PLAIN), ("1", PLAIN)]),
        ([{"contenttype": {"a": 1}}], [("0", PLAIN)]),
        ([{"value": ""}, {"value": None}, {"value": ["x"]}, {"value": "B"}], [("3", PLAIN)]),
    ],
)
def test_bodies_of_a_list(texts: list[dict[str, Any]], read: list[tuple[str, str]]) -> None:
    assert bodies(*texts) == read


@pytest.mark.parametrize(
    ("item", "read_texts"),
    [
        ({"body_text": "B", "body_xhtml": "<p>B"}, [("/body_text", PLAIN)]),
        ({"body_xhtml": "<p>B", "body_richtext": "<p>B"}, [("/body_xhtml", HTML)]),
        ({"body_nitf": "<p>B", "body_xhtml": "<p>B"}, [("/body_xhtml", HTML)]),
        ({"body_newsml": "<p>B", "body_json": "{}"}, [("/body_newsml", HTML)]),
        ({"body_nitf": "<p>B"}, [("/body_nitf", HTML)]),
        (
            {"body_main_text": "B", "body_sidebar_xhtml": "<p>C", "body_sidebar_nitf": "<p>C"},
            [("/body_main_text", PLAIN), ("/body_sidebar_xhtml", HTML)],
        ),
        ({"body": "B", "body_charcount": "120"}, [("/body", PLAIN)]),
        ({"body_a/b~c": "B"}, [("/body_a~1b~0c", PLAIN)]),
        ({"body_special": "<p>B</p>"}, [("/body_special", HTML)]),
        ({"bodyguard": "B", "body_meta": {"x": 1}}, []),
        # The list is read where it has something.
        ({"bodies": [{"value": "B"}], "body_text": "C"}, [("/bodies/0/value", PLAIN)]),
        ({"bodies": [{"value": ""}], "body_text": "C"}, [("/body_text", PLAIN)]),
        ({"bodies": {"value": "B"}}, []),
    ],
)
def test_bodies_of_members(item: dict[str, Any], read_texts: list[tuple[str, str]]) -> None:
    assert read(item) == read_texts


def test_further_headlines_stand_beside_the_headline() -> None:
    """As the standard has it, they do not replace it."""
    item = {"headline": "A", "headline_sub": "B", "headline_xhtml": "<i>A</i>", "title": "T"}
    assert read(item, "headline") == [("/headline", PLAIN), ("/headline_sub", PLAIN)]
    listed = {"headlines": [{"value": "A"}, {"role": "subhead", "value": "B"}], "title": "T"}
    assert len(read(listed, "headline")) == 2
    assert read({"title": "T", "headline_xhtml": ""}, "headline") == [("/title", PLAIN)]
    assert read({"title": "T"}, "body") == []
    assert read({"title": 5}, "headline") == []


def test_long_roles_and_names_are_compared_by_their_beginnings() -> None:
    """They are a stranger's, and what is remembered of them is bounded."""
    long = "x" * 1_000_000
    assert bodies({"role": f"html {long}"}, {"contenttype": f"text/html;{long}"}) == [
        ("0", HTML),
        ("1", HTML),
    ]
    assert read({f"body_{long}": "B"}) == [(f"/body_{long}", PLAIN)]


_values = st.sampled_from(["", "Ann", "<p>Ann</p>", None, 5, ["x"], {"value": "x"}])
_roles = st.sampled_from(["main", "text", "xhtml", "sidebar", "sidebar_html", "nitf", "", None, 7])
_media = st.sampled_from(["text/plain", "text/html; a=b", "application/xml", "", None, ["x"]])
_listed = st.fixed_dictionaries(
    {}, optional={"value": _values, "role": _roles, "contenttype": _media, "contentType": _media}
)
_lists = st.lists(_listed | _values, max_size=4) | _values
_names = st.sampled_from(
    [f"{kind}{end}" for kind in KINDS for end in ("", "_text", "_main_html", "_x/y", "_charcount")]
)


@given(
    listed=st.dictionaries(st.sampled_from(list(KINDS.values())), _lists),
    named=st.dictionaries(_names | st.just("title"), _values),
)
def test_any_object_has_each_text_once_and_something_of_what_there_is(
    listed: dict[str, Any], named: dict[str, Any]
) -> None:
    item = {**named, **listed}
    found = [place for texts in ninjs_texts(item) for place in texts]
    for pointer, value in found:
        assert resolve(item, pointer) == value
        assert isinstance(value, str)
        assert value
    assert len({pointer for pointer, _ in found}) == len(found)
    for plural in KINDS.values():
        items = item[plural] if isinstance(item.get(plural), list) else []
        texts = [one.get("value") for one in items if isinstance(one, dict)]
        if any(isinstance(text, str) and text for text in texts):
            assert any(pointer.startswith(f"/{plural}/") for pointer, _ in found)
