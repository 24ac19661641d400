"""Why a worker has no partition, as its consumer tells; no broker is needed."""

from __future__ import annotations

import threading

import orjson
import pytest

from consumer.contracts.choices import GroupProtocol
from consumer.kafka.client import ClientWatch
from consumer.kafka.internal_topics import OFFSETS, InternalTopic
from consumer.kafka.source import joining as module
from consumer.kafka.source.joining import Joining
from consumer.settings.schema import Settings
from tests.support.fakes import ManualClock, eventually


class Topics:
    """Answers when told."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked = 0
        self.gate = threading.Event()

    def obstacle(self, topic: InternalTopic) -> str:
        assert topic is OFFSETS
        self.asked += 1
        assert self.gate.wait(30)
        return self.answer


def watch_of(state: str, join_state: str = "init") -> ClientWatch:
    watch = ClientWatch()
    group = {"state": state, "join_state": join_state}
    watch.statistics(orjson.dumps({"brokers": {}, "cgrp": group}).decode())
    return watch


def joining_of(
    monkeypatch: pytest.MonkeyPatch, clock: ManualClock, topics: Topics, protocol: str = "classic"
) -> Joining:
    monkeypatch.setattr(module, "InternalTopics", lambda _: topics)
    joining = Joining(Settings(group_protocol=GroupProtocol(protocol)), clock)
    joining.look(ClientWatch(), False)
    clock.advance(module._FIRST_S)
    return joining


@pytest.mark.parametrize(
    ("protocol", "join_state", "reason"),
    [
        ("classic", "steady", module._NONE_LEFT),
        ("classic", "wait-sync", module._SHARING),
        ("classic", "init", module._SHARING),
        ("consumer", "init", module._NONE_LEFT),
        ("consumer", "steady", module._NONE_LEFT),
        ("consumer", "wait-assign-call", module._SHARING),
    ],
)
def test_with_a_coordinator_it_is_the_group(
    monkeypatch: pytest.MonkeyPatch, protocol: str, join_state: str, reason: str
) -> None:
    topics = Topics("never asked")
    joining = joining_of(monkeypatch, ManualClock(), topics, protocol)
    assert joining.reason == ""
    joining.look(watch_of("up", join_state), False)
    assert (joining.reason, topics.asked) == (reason, 0)
    joining.look(watch_of("up", join_state), True)
    assert joining.reason == ""


def test_without_a_coordinator_the_brokers_are_asked_beside_the_polling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topics, clock = Topics("they cannot"), ManualClock()
    joining = joining_of(monkeypatch, clock, topics)
    for _ in range(3):
        joining.look(watch_of("wait-coord"), False)
        clock.advance(100)
    assert (joining.reason, topics.asked) == ("", 1)
    topics.gate.set()
    eventually(lambda: joining.reason == "they cannot", "the answer")
    topics.answer = ""

    def asked_again() -> bool:
        joining.look(watch_of("wait-coord"), False)
        return joining.reason == module._NO_COORDINATOR

    eventually(asked_again, "the next one")
    assert topics.asked == 2


def test_a_consumer_that_tells_nothing_is_asked_about_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With `statistics.interval.ms=0` it tells nothing of its group."""
    topics = Topics("")
    topics.gate.set()
    joining = joining_of(monkeypatch, ManualClock(), topics)
    joining.look(ClientWatch(), False)
    eventually(lambda: joining.reason == module._NOTHING_KNOWN, "a reason")
