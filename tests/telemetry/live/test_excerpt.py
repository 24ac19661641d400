"""Text of strangers: nothing hidden, nothing turned round, nothing without end."""

from __future__ import annotations

import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consumer.codec.text.formats import field_readers
from consumer.contracts.messages import Entity, TextField
from consumer.telemetry.live.excerpt import excerpt, marked, plain


def words(nodes: Any) -> str:
    """The text that a reader sees."""
    return "".join(
        one if isinstance(one, str) else words(one["s"]) if "s" in one else f"[{one['x']}]"
        for one in nodes
    )


def entity(field: str, kind: str, text: str, start: int) -> Entity:
    return Entity(field, kind, text, start, start + len(text), 0.9)


def test_entities_stand_where_they_are_and_are_cut_with_the_text() -> None:
    field = TextField("body", "Ana Lima saw Oslo and Rome")
    found = [entity("body", "PER", "Ana Lima", 0), entity("body", "LOC", "Oslo", 13)]
    found += [entity("body", "LOC", "Rome", 22), entity("title", "ORG", "Ana", 0)]
    nodes, goes_on = excerpt(field, found, 15)
    assert goes_on
    assert nodes == [
        {"e": "PER", "c": "cyan", "s": ["Ana Lima"]},
        " saw ",
        {"e": "LOC", "c": "green", "s": ["Os"]},
    ]


def test_entities_of_mark_up_stand_in_the_text() -> None:
    source = "<p>Smith &amp; Baird of <b>Oslo</b></p>"
    readers = field_readers(["html"], "", ["body"])
    read = readers["body"] if readers else None
    field = read("body", source, None) if read else None
    assert field is not None
    found = [entity("body", "ORG", "Smith &amp; Baird", 3), entity("body", "LOC", "Oslo", 27)]
    found[0] = found[0]._replace(text="Smith & Baird")
    nodes, _ = excerpt(field, found, 100)
    shown = [(one["e"], words([one])) for one in nodes if isinstance(one, dict)]
    assert shown == [("ORG", "Smith & Baird"), ("LOC", "Oslo")]


def test_what_turns_text_round_or_hides_it_is_named() -> None:
    assert words(plain("a\u202egpj.exe")) == "a[U+202E]gpj.exe"
    assert words(plain("pass\u200bword \u2066x\u2069")) == "pass[U+200B]word [U+2066]x[U+2069]"
    assert words(plain("a\u3164b\x1b[31m\x00")) == "a[U+3164]b[U+001B][31m[U+0000]"
    assert words(plain("\ufeff" * 400)) == "[U+FEFF ×400]"
    assert words(plain("one\ntwo\tthree")) == "one two three"
    assert words(plain("\ud800")) == "[U+D800]"


def test_ten_thousand_marks_are_six() -> None:
    nodes = plain("e" + "\u0301" * 10_000 + " ok")
    assert nodes == ["e" + "\u0301" * 6, {"x": "combining mark ×9,994"}, " ok"]
    # Three on a letter are Vietnamese, and stay.
    assert plain("e\u0302\u0323\u0301") == ["e\u0302\u0323\u0301"]


def test_joiners_stay_where_a_script_needs_them() -> None:
    persian, family = "می\u200cخواهم", "👩\u200d👧"
    assert plain(persian) == [persian]
    assert plain(family) == [family]
    assert words(plain("pay\u200dpal")) == "pay[U+200D]pal"


def test_overlapping_places_are_shown_once() -> None:
    assert words(marked("abcdef", [(0, 4, "PER"), (2, 6, "ORG"), (5, 5, "LOC")])) == "abcdef"


def test_a_types_name_is_a_strangers_too() -> None:
    (node,) = marked("x", [(0, 1, "<b>\u202e" + "T" * 99)])
    assert isinstance(node, dict)
    assert node["e"] == "<b>?" + "T" * 20


@given(st.text(max_size=80), st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90))))
def test_nothing_unsafe_is_left_of_any_text(text: str, places: list[tuple[int, int]]) -> None:
    nodes = marked(text, [(start, end, "PER") for start, end in places])
    shown = words(nodes)
    kept = {"\u200c", "\u200d"}
    for character in shown:
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} - (
            {"Cf"} if character in kept else set()
        )
    if all(" " <= character <= "~" for character in text):
        assert shown == text
