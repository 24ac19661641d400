"""What is noticed of partitions without a worker, beside the polling; no broker is needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

import pytest

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.unassigned.group_view import GroupView
from consumer.kafka.source.unassigned.rejoins import GRACE_S, LOOK_S
from consumer.kafka.source.unassigned.unassigned import Unassigned
from tests.support.fakes import PATIENCE_S, ManualClock

LEFT = frozenset({TopicPartition("in", 1), TopicPartition("in", 3)})
REVOKE_S = 10.0


class Group:
    """Answers when told."""

    def __init__(self) -> None:
        self.view: GroupView | None = GroupView(("a", "b"), LEFT)
        self.asked: list[Collection[str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def look(self, topics: Collection[str]) -> GroupView | None:
        self.asked.append(topics)
        assert self.gate.wait(PATIENCE_S)
        return self.view


class Rig:
    def __init__(self, member_id: str = "a") -> None:
        self.group, self.clock = Group(), ManualClock()
        self.member_id = member_id
        self.sign = 1
        self.unassigned = Unassigned("g", REVOKE_S, self.group.look, self.clock)

    def step(self, topics: Collection[str] = ("in",)) -> bool:
        return self.unassigned.step(self.sign, topics, lambda: self.member_id)

    def look(self) -> bool:
        """Begin a look and take its answer."""
        self.clock.advance(LOOK_S)
        assert not self.step()
        looking = self.unassigned._looking
        if looking is None:
            return False
        looking.join(PATIENCE_S)
        return self.step()


def test_partitions_without_a_worker_are_named_and_one_worker_rejoins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.step()
    due = [rig.look() for _ in range(5)]
    assert due == [False, False, False, True, False]
    assert GRACE_S + REVOKE_S == 3 * LOOK_S
    (trouble,) = rig.unassigned.troubles()
    assert "no worker of group g has in [1], in [3]" in trouble
    (line,) = caplog.messages
    assert "no worker of group g has in [1], in [3], though the topic is there" in line
    with caplog.at_level(logging.INFO):
        rig.group.view = GroupView(("b", "c"), frozenset())
        rig.look()
    assert not rig.unassigned.troubles()
    assert "each partition has a worker of group g again" in caplog.messages[-1]


def test_what_is_not_known_at_the_moment_stays_a_trouble() -> None:
    rig = Rig("b")
    rig.step()
    for _ in range(4):
        assert not rig.look()
    assert rig.unassigned.troubles()
    rig.group.view = None
    rig.look()
    assert rig.unassigned.troubles()


def test_polling_never_waits_for_a_look() -> None:
    rig = Rig()
    rig.step()
    rig.group.gate.clear()
    rig.clock.advance(LOOK_S)
    for _ in range(3):
        assert not rig.step()
        rig.clock.advance(LOOK_S)
    assert rig.group.asked == [("in",)]
    rig.group.gate.set()


def test_nothing_is_asked_while_a_topic_is_gone_and_soon_once_it_is_back() -> None:
    rig = Rig()
    for _ in range(10):
        rig.clock.advance(LOOK_S)
        rig.step(topics=())
    assert not rig.group.asked
    rig.sign = 2
    rig.step()
    rig.look()
    assert rig.group.asked == [("in",)]


def test_a_new_sign_is_a_new_doubt() -> None:
    rig = Rig()
    rig.group.view = GroupView(("a",), frozenset())
    rig.step()
    rig.look()
    rig.look()
    looks = len(rig.group.asked)
    for _ in range(10):
        rig.look()
    assert len(rig.group.asked) == looks
    rig.sign = 2
    rig.step()
    rig.look()
    assert len(rig.group.asked) == looks + 1


def test_many_partitions_are_named_in_part() -> None:
    rig = Rig("b")
    many = frozenset(TopicPartition("in", n) for n in range(100))
    rig.group.view = GroupView(("a", "b"), many)
    rig.step()
    for _ in range(4):
        rig.look()
    (trouble,) = rig.unassigned.troubles()
    assert "in [9], ..." in trouble
    assert "in [10]" not in trouble
