from __future__ import annotations

from consumer.dead_letters.letter_filter import LetterFilter
from consumer.dead_letters.marks import Origin, mark
from consumer.dead_letters.offset_set import OffsetSet
from consumer.dead_letters.survey import Survey, read_on
from tests.support.memory.fake_letters import FakeReader, FakeTopics
from tests.support.memory.letters import at, letter, original

ORIGIN = Origin("c", "dead")


def survey(max_attempts: int = 3) -> Survey:
    return Survey(
        ORIGIN,
        LetterFilter(),
        lambda letter: letter.origin.topic_partition.topic,
        max_attempts,
    )


def test_what_is_to_be_sent_is_known_after_one_reading() -> None:
    topics = FakeTopics()
    for number in range(10):
        topics.put(letter(original(number), partition=number % 2))
    sent = OffsetSet()
    sent.add_range(1, 2)
    topics.put(mark(ORIGIN, 0, "articles", sent, 0, "1"))
    reader = FakeReader(topics)
    reader.start({0: (0, 6), 1: (0, 5)})
    found = survey()
    looks: list[int] = []
    read_on(reader, found.note, lambda: looks.append(reader.left))
    assert looks[-1] == 0
    assert {part: list(one.ranges()) for part, one in found.pending().items()} == {
        0: [(0, 0), (3, 4)],
        1: [(0, 4)],
    }
    assert found.tally().to_send == {("invalid_json", "articles"): 8}
    assert found.tally().sent_before == 2
    assert found.destinations() == {"articles": 8}


def test_a_letter_that_comes_after_the_look_is_not_meant_but_its_mark_is_read() -> None:
    found = survey()
    found.note(at(letter(original(0)), 0))
    found.note_sent(at(letter(original(1)), 1))
    assert found.destinations() == {"articles": 1}
    sent = OffsetSet()
    sent.add(0)
    found.note_sent(at(mark(ORIGIN, 0, "articles", sent, 0, "1"), 2))
    assert found.pending() == {}
    assert found.destinations() == {}
