from __future__ import annotations

import pytest

from consumer.contracts.errors import KafkaProblem
from consumer.dead_letters import waiting as waiting_module
from consumer.dead_letters.waiting import Waiting
from tests.support.memory.fake_letters import FakeProgress, FakeReader, FakeTopics
from tests.support.memory.letters import letter, original


def started() -> FakeReader:
    topics = FakeTopics()
    for number in range(9):
        topics.put(letter(original(number)))
    reader = FakeReader(topics)
    reader.start({0: (0, 9)})
    return reader


def test_a_reading_that_stands_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "_TOLD_S", -1.0)
    reader, progress = started(), FakeProgress()
    waiting = Waiting(reader, "dead", progress)
    waiting.look()
    waiting.look()
    assert progress.told == [
        "waiting for dead[0] at 0: a transaction is open there, or its broker does not answer"
    ]
    reader.poll(1, 0.1)
    waiting.look()
    assert len(progress.told) == 2


def test_a_reading_that_goes_on_is_not_told() -> None:
    reader, progress = started(), FakeProgress()
    waiting = Waiting(reader, "dead", progress)
    while reader.places:
        reader.poll(1, 0.1)
        waiting.look()
    assert progress.told == []


def test_one_that_never_goes_on_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "_HUNG_S", -1.0)
    waiting = Waiting(started(), "dead", FakeProgress())
    with pytest.raises(KafkaProblem, match=r"cannot read on in dead\[0\] at 0 .* find-hanging"):
        waiting.look()


def test_where_no_transaction_can_hold_it_up_the_broker_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_module, "_TOLD_S", -1.0)
    progress = FakeProgress()
    waiting = Waiting(started(), "dead", progress, is_stable=True)
    waiting.look()
    assert progress.told == ["waiting for dead[0] at 0: its broker does not answer"]
    monkeypatch.setattr(waiting_module, "_SILENT_S", -1.0)
    with pytest.raises(KafkaProblem, match=r"nothing has come of dead\[0\] at 0 .* same command"):
        waiting.look()
