"""Offsets of every form of tokenizer, with anything before, between and after."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.tagging.tokenize.encoding import FieldEncoding
from consumer.tagging.tokenize.words import whole_words
from tests.support.models.hard_texts import CONTROLS, UNREADABLE, without_controls
from tests.support.models.tiny_models import FAMILIES, entities_of, tiny_tagger
from tests.support.models.tiny_tokenizers import FORMS, tiny_text_tokenizer, tiny_tokenizer

SEPARATORS = [
    *UNREADABLE,
    "\t",
    "\n",
    "\r\n",
    " ",
    "\u00a0",
    "\u2009",
    "\u2028",
    "\u2029",
    "\u3000",
]
INVISIBLE = [
    *"\u00ad\u061c\u180e\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2069"
]
JOINERS = [*"\u200c\u200d\u034f\ufe0f"]
#: One character of the text that becomes several to the model, or several that become one.
EXPANSIONS = ["ﷺ", "½", "㎢", "ﬁ", "ŉ", "℡", "…", "①", "ǅ", "İ", "ß", "㍿", "𝐌", "\U0001d15e"]
COMPOSITIONS = ["e\u0301", "각", "가", "ﾊﾟ", "ｶﾞ", "カ\u3099", "ǅ\u0301", "\u0f71\u0f72"]
MARKS = [*"\u0301\u0308\u0345\u0489\u20dd"]
ODD = [
    "👩‍👩‍👧",
    "🇵🇹",
    "1️⃣",
    "🏴\U000e0067\U000e0062",
    "\ufffd",
    "▁",
    "\ue000",
    "\U0010fffe",
    "\u0378",
]
SURROGATES = ["\ud83d", "\udc00", "\udfff"]
NAMES = ["Marta", "Lindqvist", "Okafor", "Lisbon"]
PUNCTUATION = [*".,'\"-()“”’—", "``", "''", "[SEP]", "<s>"]

hard_texts = st.lists(
    st.one_of(
        st.sampled_from(NAMES),
        st.sampled_from(SEPARATORS),
        st.sampled_from([*INVISIBLE, *JOINERS, *MARKS]),
        st.sampled_from([*EXPANSIONS, *COMPOSITIONS]),
        st.sampled_from([*ODD, *SURROGATES, *PUNCTUATION]),
        st.builds(str.__mul__, st.sampled_from([*CONTROLS, " "]), st.integers(2, 40)),
    ),
    max_size=14,
).map("".join)


shared_tagger = cache(tiny_tagger)


def kind(character: str) -> str:
    """The class of a character by another way than the package's own."""
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc" or character in "\u200b\ufeff":
        return "space"
    if category[0] == "M":
        return "mark"
    if category[0] == "P" or (character.isascii() and category[0] == "S"):
        return "punctuation"
    name = unicodedata.name(character, "")
    if name.startswith(("CJK", "HIRAGANA", "KATAKANA", "TIBETAN")):
        return "unspaced"
    return "letter"


def edges(text: str) -> set[int]:
    """The places between words, before the first and after the last."""
    places = {0, len(text)}
    before = ""
    for place in range(1, len(text)):
        # A mark is of the kind of what it stands on.
        before = before if kind(text[place - 1]) == "mark" else kind(text[place - 1])
        after = kind(text[place])
        is_apart = "space" in (before, after)
        if is_apart or (after != "mark" and {before, after} & {"punctuation", "unspaced"}):
            places.add(place)
    return places


def is_edge(text: str, place: int, at: set[int]) -> bool:
    """Whether words meet there, or what is not seen stands between them and this place."""
    below = above = place
    while below > 0 and text[below - 1] in INVISIBLE:
        below -= 1
    while above < len(text) and text[above] in INVISIBLE:
        above += 1
    return bool(at & set(range(below, above + 1)))


def encoded(form: str, text: str) -> FieldEncoding:
    (article,) = tiny_text_tokenizer(form).encode([[text]])
    return article.fields[0]


def units(text: str, field: FieldEncoding) -> Iterator[tuple[int, int, list[int]]]:
    """Each unit that has text: where it is, as an entity of it would be, and its tokens."""
    first = np.flatnonzero(field.begins_unit)
    bounds = [*first.tolist(), len(field.ids)]
    for low, high in zip(bounds, [bound - 1 for bound in bounds[1:]], strict=False):
        start, end = int(field.starts[low]), int(field.ends[high])
        if end > start:
            yield *whole_words(text, start, end), field.ids[low : high + 1].tolist()


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100, deadline=None)
@given(text=hard_texts)
def test_units_are_words_of_the_text_whatever_stands_in_it(form: str, text: str) -> None:
    at = edges(text)
    field = encoded(form, text)
    assert ((field.starts >= 0) & (field.starts <= field.ends)).all()
    assert (field.ends <= len(text)).all()
    reached = 0
    found = [(start, end) for start, end, _ in units(text, field) if end > start]
    for start, end in found:
        assert start >= reached, (ascii(text), found)
        assert is_edge(text, start, at), (ascii(text), start)
        assert is_edge(text, end, at), (ascii(text), end)
        surface = text[start:end]
        assert surface == surface.strip()
        assert surface[0] not in SEPARATORS
        reached = end
    # No word that has letters is without a unit.
    covered = {place for start, end in found for place in range(start, end)}
    for name in NAMES:
        place = text.find(name)
        while place >= 0:
            assert covered.issuperset(range(place, place + len(name))), ascii(text)
            place = text.find(name, place + 1)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(
    before=hard_texts,
    name=st.sampled_from(NAMES),
    after=hard_texts,
    left=st.sampled_from(SEPARATORS),
    right=st.sampled_from(SEPARATORS),
)
def test_a_name_is_found_at_its_place_with_its_own_tokens(
    form: str, before: str, name: str, after: str, left: str, right: str
) -> None:
    space = tiny_tokenizer(form).token_to_id("▁")

    def tokens_of_name(before: str, after: str) -> list[list[int]]:
        text = f"{before} . {left}{name}{right} . {after}"
        start = len(before) + len(" . ") + len(left)
        return [
            [token for token in ids if token != space]
            for low, high, ids in units(text, encoded(form, text))
            if (low, high) == (start, start + len(name))
        ]

    (alone,) = tokens_of_name("", "")
    assert tokens_of_name(before, after) == [alone], ascii((before, after))


@pytest.mark.parametrize("form", FORMS)
def test_a_control_character_is_a_space_and_moves_nothing(form: str) -> None:
    shapes = ("{0}{0}{0}Marta met", "Marta{0}Okafor", "a ½{0} Marta{0}", "{0} Marta {0}of")
    for control, shape in product(UNREADABLE, shapes):
        field, expected = (encoded(form, shape.format(one)) for one in (control, " "))
        assert np.array_equal(field.ids, expected.ids)
        assert np.array_equal(field.starts, expected.starts)
        assert np.array_equal(field.ends, expected.ends)
        assert np.array_equal(field.begins_unit, expected.begins_unit)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\x1f\x1f\x1fMarta of Lisbon", ["Marta", "of", "Lisbon"]),
        ("Marta\x10Okafor", ["Marta", "Okafor"]),
        ("\ufeffMarta\u200bOkafor\u200b", ["Marta", "Okafor"]),
        ("\u2067Marta\u2069 \u200fOkafor\u200f", ["Marta", "Okafor"]),
        ("Mar\u00adta\u00ad Okafor", ["Mar\u00adta", "Okafor"]),
        ("Marta\x00\x7f\x85\x9fOkafor", ["Marta", "Okafor"]),
        ("Rene\u0301 \u1112\u1161\u11ab ﾊﾟﾘ", ["Rene\u0301", "\u1112\u1161\u11ab", "ﾊﾟﾘ"]),
        ("Jos\ufffd Mar\ud83dta", ["Jos\ufffd", "Mar\ud83dta"]),
    ],
)
def test_words_of_texts_with_what_is_not_seen(form: str, text: str, words: list[str]) -> None:
    found = [text[start:end] for start, end, _ in units(text, encoded(form, text))]
    assert [word for word in found if word] == words


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(hard_texts, min_size=1, max_size=4))
def test_entities_are_those_of_the_text_with_spaces_for_controls(
    family: str, texts: list[str]
) -> None:
    text = " Marta ".join(texts)
    tagger = shared_tagger(family)
    entities = entities_of(tagger, text)
    at = edges(text)
    reached = 0
    for entity in entities:
        assert text[entity.start : entity.end] == entity.text
        assert entity.start >= reached
        assert entity.text == entity.text.strip() != ""
        assert is_edge(text, entity.start, at), ascii(text)
        assert is_edge(text, entity.end, at), ascii(text)
        reached = entity.end
    plain = entities_of(tagger, without_controls(text))
    assert [(e.start, e.end, e.type, e.score) for e in entities] == [
        (e.start, e.end, e.type, e.score) for e in plain
    ]
