"""What a pattern takes in, and which patterns are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from consumer.settings.schema import Settings
from consumer.settings.topic_patterns import begins_as, takes_in

TOPICS = ("reg-", "reg-a", "reg-y", "reg-yy", "my-reg-a", "__consumer_offsets", "__mine")


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("reg-a", ["reg-a"]),
        ("reg-", ["reg-"]),
        ("^reg-$", ["reg-"]),
        ("^reg-.*", ["reg-", "reg-a", "reg-y", "reg-yy"]),
        ("^reg-[a-z]", ["reg-a", "reg-y"]),
        ("^reg-(?!y).*", ["reg-", "reg-a"]),
        ("^reg-y{1,2}", ["reg-y", "reg-yy"]),
        ("^reg-(.)\\1", ["reg-yy"]),
        ("^reg-a|reg-yy", ["reg-a", "reg-yy"]),
        ("^.*a$", ["reg-a", "my-reg-a"]),
        ("^_.*", []),
        ("^__.*", ["__consumer_offsets", "__mine"]),
    ],
)
def test_a_pattern_is_for_whole_names(pattern: str, taken: list[str]) -> None:
    assert [topic for topic in TOPICS if takes_in(pattern, topic)] == taken


def test_a_name_that_goes_on_is_told_apart() -> None:
    assert [topic for topic in TOPICS if begins_as("^reg-[a-z]", topic)] == ["reg-yy"]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("^a{1,2}", ("^a{1,2}",)),
        ("^a{1,},b, ^c{,3}", ("^a{1,}", "b", "^c{,3}")),
        (" a ,, b", ("a", "b")),
        (("^a{1,2}", "b"), ("^a{1,2}", "b")),
    ],
)
def test_a_comma_of_a_repetition_separates_nothing(given: Any, read: tuple[str, ...]) -> None:
    assert Settings(input_topics=given).input_topics == read


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("^reg-[", "^reg-[ is no pattern (unterminated character set at position 5); it must be"),
        ("^(", "^( is no pattern (missing ), unterminated subpattern at position 1); it must be"),
        ("^a**", "^a** is no pattern (multiple repeat at position 3); it must be"),
        (
            "^reg-",
            "^reg- takes in one name at most, since a pattern is for whole names; write ^reg-.*"
            " for the topics that begin so, or the name without ^",
        ),
        ("^news\\.de", "^news\\.de takes in one name at most"),
        ("^", "^ takes in one name at most"),
        ("^[[:alpha:]]+", "^[[:alpha:]]+ has a class of POSIX; write [A-Za-z] for [[:alpha:]]"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(input_topics=(pattern,))
    assert str(caught.value.errors()[0]["ctx"]["error"]).startswith(said)
