from __future__ import annotations

import pytest

from consumer.contracts.choices import RejectCode
from consumer.dead_letters.letter import read_letter
from consumer.dead_letters.letter_filter import LetterFilter
from tests.support.memory.letters import DAY_MS, at, letter, original

RAW = original(5, topic="news-eu", partition=1)
LETTER = read_letter(at(letter(RAW, code=RejectCode.NO_TEXT, reason="No Field", partition=2), 9))
UNTIMED = read_letter(at(letter(RAW._replace(timestamp_ms=None)), 9))
OWN_MS = DAY_MS + 5


@pytest.mark.parametrize(
    ("wanted", "takes_in"),
    [
        (LetterFilter(), True),
        (LetterFilter(codes=frozenset({"no_text", "invalid_json"})), True),
        (LetterFilter(codes=frozenset({"invalid_json"})), False),
        (LetterFilter(topics=("news-eu",)), True),
        (LetterFilter(topics=("news",)), False),
        (LetterFilter(topics=("news", "^news-.*")), True),
        (LetterFilter(from_ms=OWN_MS), True),
        (LetterFilter(from_ms=OWN_MS + 1), False),
        (LetterFilter(until_ms=OWN_MS), False),
        (LetterFilter(until_ms=OWN_MS + 1), True),
        (LetterFilter(from_ms=OWN_MS - 1, until_ms=OWN_MS + 1), True),
        (LetterFilter(text="no FIELD"), True),
        (LetterFilter(text="fields"), False),
        (LetterFilter(places=frozenset({(2, 9)})), True),
        (LetterFilter(places=frozenset({(2, 8), (1, 9)})), False),
        (LetterFilter(codes=frozenset({"no_text"}), text="x"), False),
    ],
)
def test_all_that_is_given_must_hold(wanted: LetterFilter, takes_in: bool) -> None:
    assert LETTER is not None
    assert wanted.takes_in(LETTER) is takes_in


def test_a_message_without_a_timestamp_is_in_no_span() -> None:
    assert UNTIMED is not None
    assert LetterFilter().takes_in(UNTIMED)
    assert not LetterFilter(from_ms=0).takes_in(UNTIMED)
    assert not LetterFilter(until_ms=2**60).takes_in(UNTIMED)
