"""Mentions of one name are found by rules that a person can check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.codec.grouping import Name, group_names
from consumer.contracts.messages import Entity


def names_of(text: str, surfaces: list[tuple[str, str]]) -> list[Name]:
    """Groups what stands in a text, each surface searched behind the one before."""
    entities, at = [], 0
    for kind, surface in surfaces:
        start = text.index(surface, at)
        at = start + len(surface)
        entities.append(Entity("body", kind, surface, start, at, 0.9))
    return group_names(entities, lambda _, start, end: text[start:end], ("PER",))


def test_the_same_letters_are_one_name() -> None:
    text = "PARIS, Paris and Paris Hilton"
    assert names_of(text, [("LOC", "PARIS"), ("LOC", "Paris"), ("PER", "Paris Hilton")]) == [
        Name("LOC", "Paris", (0, 1)),
        Name("PER", "Paris Hilton", (2,)),
    ]


def test_white_space_makes_no_other_name() -> None:
    assert names_of("New\n York, New York", [("LOC", "New\n York"), ("LOC", "New York")]) == [
        Name("LOC", "New York", (0, 1))
    ]


@pytest.mark.parametrize(
    ("surfaces", "groups"),
    [
        (["Angela Merkel", "Merkel"], [("Angela Merkel", (0, 1))]),
        (["Merkel", "Angela Merkel"], [("Angela Merkel", (0, 1))]),
        (["MERKEL", "Angela Merkel", "Merkel"], [("Angela Merkel", (0, 1, 2))]),
        (["Vincent van Gogh", "van Gogh", "Gogh"], [("Vincent van Gogh", (0, 1, 2))]),
        (["Bill Clinton", "Hillary Clinton", "Clinton"],
         [("Bill Clinton", (0,)), ("Hillary Clinton", (1,)), ("Clinton", (2,))]),
        (["Angela Merkel", "Angela"], [("Angela Merkel", (0,)), ("Angela", (1,))]),
        (["Angela Merkel", "erkel"], [("Angela Merkel", (0,)), ("erkel", (1,))]),
        (["Angela Dorothea Merkel", "Angela Merkel", "Merkel"],
         [("Angela Dorothea Merkel", (0,)), ("Angela Merkel", (1,)), ("Merkel", (2,))]),
    ],
)  # fmt: skip
def test_surnames(surfaces: list[str], groups: list[tuple[str, tuple[int, ...]]]) -> None:
    found = names_of(" ; ".join(surfaces), [("PER", surface) for surface in surfaces])
    assert [(name.text, name.mentions) for name in found] == groups


def test_the_last_word_of_a_place_is_no_surname() -> None:
    assert len(names_of("South Korea; Korea", [("LOC", "South Korea"), ("LOC", "Korea")])) == 2


@pytest.mark.parametrize(
    ("text", "one", "two", "is_one"),
    [
        ("the European Central Bank (ECB)", "European Central Bank", "ECB", True),
        ("the ECB (European Central Bank)", "ECB", "European Central Bank", True),
        ("the Bank of England (BoE)", "Bank of England", "BoE", False),  # not in capitals
        ("the Bank of England (BOE)", "Bank of England", "BOE", True),
        ("the Bank of England (BE)", "Bank of England", "BE", True),
        ("the European Central Bank (E.C.B.)", "European Central Bank", "E.C.B.", True),
        ("the European Central Bank, ECB", "European Central Bank", "ECB", False),
        ("the European Central Bank (IMF)", "European Central Bank", "IMF", False),
        ("the European Central Bank and (ECB)", "European Central Bank", "ECB", False),
    ],
)
def test_acronyms_in_brackets(text: str, one: str, two: str, is_one: bool) -> None:
    found = names_of(f"{text} and {two}", [("ORG", one), ("ORG", two), ("ORG", two)])
    assert [name.mentions for name in found] == ([(0, 1, 2)] if is_one else [(0,), (1, 2)])


def test_an_acronym_of_another_type_stands_apart() -> None:
    assert len(names_of("Abu Dhabi (AD)", [("LOC", "Abu Dhabi"), ("ORG", "AD")])) == 2


def test_entities_of_two_fields_have_nothing_between_them() -> None:
    entities = [
        Entity("title", "ORG", "European Central Bank", 0, 21, 0.9),
        Entity("body", "ORG", "ECB", 30, 33, 0.9),
    ]
    assert len(group_names(entities, lambda *_: " (", ())) == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["PER", "ORG"]),
            st.lists(st.sampled_from(["Ann", "BO", "Lee", "de", "ABC", "B."]), min_size=1).map(
                " ".join
            ),
        ),
        max_size=40,
    )
)
def test_each_mention_is_of_one_name(found: list[tuple[str, str]]) -> None:
    entities = [
        Entity("body", kind, text, at * 100, at * 100 + len(text), 0.5)
        for at, (kind, text) in enumerate(found)
    ]
    names = group_names(entities, lambda *_: " (", ("PER",))
    assert sorted(index for name in names for index in name.mentions) == list(range(len(found)))
    assert [name.mentions[0] for name in names] == sorted(name.mentions[0] for name in names)
    for name in names:
        assert {entities[index].type for index in name.mentions} == {name.type}
        assert list(name.mentions) == sorted(name.mentions)


def test_ten_thousand_mentions_are_grouped_without_comparing_each_with_each() -> None:
    """Each surface is compared with a handful: those that it has words in common with."""
    surfaces = [f"{first} {last}" for first in "ABCDEFGHIJ" for last in range(500)]
    surfaces += [str(last) for last in range(500)]
    found = names_of(" ; ".join(surfaces), [("PER", surface) for surface in surfaces])
    assert len(found) == len(surfaces)
