from __future__ import annotations

import pytest

from consumer.contracts.errors import KafkaProblem
from consumer.dead_letters import waiting as waiting_module
from consumer.dead_letters.letter_filter import LetterFilter
from consumer.dead_letters.marks import Origin, mark
from consumer.dead_letters.offset_set import OffsetSet
from consumer.dead_letters.routes import Routes
from consumer.dead_letters.survey import Survey, read_on
from consumer.dead_letters.waiting import Waiting
from tests.support.memory.fake_letters import FakeProgress, FakeReader, FakeTopics
from tests.support.memory.letters import at, letter, original

ORIGIN = Origin("c", "dead")


def survey(max_attempts: int = 3) -> Survey:
    return Survey(
        ORIGIN,
        LetterFilter(),
        Routes("dead", None, FakeTopics().counts.__getitem__),
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
    waiting = Waiting(reader, "dead", FakeProgress())
    for raw in read_on(reader, waiting, lambda: looks.append(reader.left)):
        found.note(raw)
    assert looks[-1] == 0
    assert {part: list(one.ranges()) for part, one in found.pending().items()} == {
        0: [(0, 0), (3, 4)],
        1: [(0, 4)],
    }
    assert found.tally().to_send == {("invalid_json", "articles"): 8}
    assert found.tally().sent_before == 2


def test_a_letter_that_comes_after_the_look_is_not_meant_but_its_mark_is_read() -> None:
    found = survey()
    found.note(at(letter(original(0)), 0))
    found.note_sent(at(letter(original(1)), 1))
    assert found.tally().to_send == {("invalid_json", "articles"): 1}
    sent = OffsetSet()
    sent.add(0)
    found.note_sent(at(mark(ORIGIN, 0, "articles", sent, 0, "1"), 2))
    assert found.pending() == {}
    assert found.tally().to_send == {}


def test_what_cannot_be_sent_is_apart_until_it_was_sent_elsewhere() -> None:
    counts = FakeTopics().counts
    counts["gone"] = 0
    found = Survey(ORIGIN, LetterFilter(), Routes("dead", None, counts.__getitem__), 3)
    for number, topic in enumerate(["gone", "articles", "gone", "gone"]):
        found.note(at(letter(original(number, topic=topic)), number))
    sent = OffsetSet()
    sent.add(0)
    found.note(at(mark(ORIGIN, 0, "debug", sent, 0, "1"), 4))
    tally = found.tally()
    assert tally.to_send == {("invalid_json", "articles"): 1}
    assert (tally.barred.by_code, tally.sent_before) == ({"no_topic": 2}, 1)
    assert [(one.letters, one.first) for one in tally.barred.named.values()] == [(2, (0, 2))]
    # A replay comes by them, and says so.
    assert list(found.pending()[0].ranges()) == [(1, 3)]


def test_a_reading_of_which_nothing_comes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "_SILENT_S", -1.0)
    topics = FakeTopics()
    topics.put(letter(original(0)))
    reader = FakeReader(topics, at_once=0)
    polls = iter(range(100))
    reader.before_poll = lambda: pytest.fail("it goes on") if next(polls) == 9 else None
    reader.start({0: (0, 1)})
    waiting = Waiting(reader, "dead", FakeProgress(), is_stable=True)
    with pytest.raises(KafkaProblem, match=r"nothing has come of dead\[0\] at 0 for"):
        list(read_on(reader, waiting))
