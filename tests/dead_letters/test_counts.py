from __future__ import annotations

from consumer.contracts.choices import RejectCode
from consumer.dead_letters.counts import CodeCount, Counts
from consumer.dead_letters.letter_filter import LetterFilter
from consumer.dead_letters.marks import Origin, mark
from consumer.dead_letters.offset_set import OffsetSet
from tests.support.memory.letters import DAY_MS, at, letter, original

ORIGIN = Origin("c", "dead")


def test_letters_are_counted_by_code_and_by_whether_they_were_sent() -> None:
    counts = Counts(ORIGIN, LetterFilter())
    for number in range(6):
        raw = original(number, topic="b" if number == 5 else "a")
        code = RejectCode.NO_TEXT if number < 2 else RejectCode.INVALID_JSON
        counts.note(at(letter(raw, code=code), number))
    counts.note(at(letter(original(9)._replace(timestamp_ms=None)), 6))
    sent = OffsetSet()
    sent.add_range(1, 3)
    counts.note(at(mark(ORIGIN, 0, "a", sent, 0, "1"), 7))
    counts.note(original(10)._replace(headers=()))  # of another program
    assert counts.lines() == [
        CodeCount("invalid_json", 5, 3, DAY_MS + 2, DAY_MS + 5, ["a", "articles", "b"]),
        CodeCount("no_text", 2, 1, DAY_MS, DAY_MS + 1, ["a"]),
    ]


def test_only_those_that_are_meant() -> None:
    counts = Counts(ORIGIN, LetterFilter(codes=frozenset({"no_text"})))
    counts.note(at(letter(original(1)), 0))
    assert counts.lines() == []


def test_the_time_0_is_a_time() -> None:
    counts = Counts(ORIGIN, LetterFilter())
    for number, timestamp_ms in enumerate([0, 1_700_000_000_000, -5]):
        counts.note(at(letter(original(number)._replace(timestamp_ms=timestamp_ms)), number))
    (line,) = counts.lines()
    assert (line.oldest_ms, line.newest_ms) == (-5, 1_700_000_000_000)
    counts = Counts(ORIGIN, LetterFilter())
    for number, timestamp_ms in enumerate([-5, 0]):
        counts.note(at(letter(original(number)._replace(timestamp_ms=timestamp_ms)), number))
    (line,) = counts.lines()
    assert (line.oldest_ms, line.newest_ms) == (-5, 0)
