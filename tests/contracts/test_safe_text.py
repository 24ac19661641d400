from __future__ import annotations

import json
import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.contracts.safe_text import safe, safe_bytes, safe_characters, safe_json

UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ~ text", "plain ~ text"),
        ("Łódź 東京 🎉", "Łódź 東京 🎉"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("a\rb\nc\td\x00\x7f", "a\\rb\\nc\\td\\x00\\x7f"),
        ("\x9b31m", "\\x9b31m"),  # an escape sequence in one character
        ("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066"),
        ("zero\u200bwidth\ufeff\u00ad", "zero\\u200bwidth\\ufeff\\xad"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\U000e0041\U0010fffd\ue000", "\\U000e0041\\U0010fffd\\ue000"),
        ("\ud800", "\\ud800"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_could_do_something_is_escaped(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_lines_may_stay() -> None:
    assert safe("a\n\tb\r\x1b", lines=True) == "a\n\tb\\r\\x1b"


def test_bytes_that_are_no_text_are_shown_one_by_one() -> None:
    assert safe_bytes(b"\xffa\xc3\xb3\xfe") == "\\xffa\u00f3\\xfe"
    assert safe_bytes(b'{"a": "\xed\xa0\x80"}') == '{"a": "\\xed\\xa0\\x80"}'


@given(st.text(alphabet=st.characters()), st.booleans())
def test_nothing_unsafe_is_left(text: str, lines: bool) -> None:
    left = [one for one in safe(text, lines=lines) if unicodedata.category(one) in UNSAFE]
    assert set(left) <= ({"\n", "\t"} if lines else set())


@given(st.binary())
def test_nothing_unsafe_is_left_of_bytes(value: bytes) -> None:
    assert not [one for one in safe_bytes(value) if unicodedata.category(one) in UNSAFE]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_means_the_same_and_is_safe(text: str) -> None:
    written = safe_json(orjson.dumps({"a": text}).decode())
    assert json.loads(written) == {"a": text}
    assert not [one for one in written if unicodedata.category(one) in UNSAFE]


@pytest.mark.parametrize("lines", [False, True])
@given(st.text(alphabet=st.characters()))
def test_what_is_shown_of_each_character_stands_in_its_place(lines: bool, text: str) -> None:
    shown = safe_characters(text, lines=lines)
    assert len(shown) == len(text)
    assert "".join(shown) == safe(text, lines=lines)


def test_more_marks_than_any_language_has_are_escaped() -> None:
    few, many = "e" + "\u0301" * 30, "e" + "\u0301" * 10_000
    assert safe(few) == few
    assert safe(many) == few + "\\u0301" * 9_970
    assert safe("a\u0301" * 50) == "a\u0301" * 50


@given(st.text(alphabet=st.characters()))
def test_what_is_safe_stays_as_it_is(text: str) -> None:
    assert safe(safe(text)) == safe(text)
