"""Restarts: where a partition is read on that the client has stopped to read."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, KafkaError, KafkaException

from consumer.contracts.choices import JumpReason, OffsetReset
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.outside import Outside
from consumer.kafka.source.rebalance import Rebalance
from consumer.kafka.source.starts import Starts
from consumer.kafka.source.topics.restarts import Restarts
from consumer.settings.schema import Settings
from tests.integration.rigs.reading import Heard
from tests.support.fakes import P0

NONE = KafkaError(KafkaError._AUTO_OFFSET_RESET, "no previously committed offset available")
OUT_OF_RANGE = KafkaError(KafkaError._AUTO_OFFSET_RESET, "Broker: Offset out of range")
TIMED_OUT = KafkaError(KafkaError._TIMED_OUT)


class Rig:
    """A partition that holds offsets 50 to 90, and that the client cannot read."""

    def __init__(self, policy: str = "earliest") -> None:
        self.placed: list[int] = []
        self.failures: list[KafkaException] = []
        #: The group's offset, or why it is not known.
        self.group_at: int | KafkaError = OFFSET_INVALID
        self.assigned, self.heard = AssignedPartitions(), Heard()
        settings = Settings(auto_offset_reset=OffsetReset(policy))
        self.restarts = Restarts(settings, self.assigned, Starts(settings))
        rebalance = Rebalance(lambda _, __: None, self.assigned, self.heard)
        intake: Any = SimpleNamespace(outside={})
        self.member: Any = SimpleNamespace(consumer=self, rebalance=rebalance, intake=intake)
        rebalance.on_assign(self, [confluent_kafka.TopicPartition("articles", 0)])
        self.number = self.assigned.numbers()[P0]
        self.placed.clear()

    def incremental_assign(self, partitions: list[Any]) -> None:
        self.placed += [one.offset for one in partitions]

    def incremental_unassign(self, partitions: list[Any]) -> None:
        pass

    def resume(self, partitions: list[Any]) -> None:
        pass

    def position(self, partitions: list[Any]) -> None:
        pass

    def committed(self, partitions: list[Any], timeout: float) -> list[Any]:
        assert timeout > 0
        (one,) = partitions
        found, told = self.group_at, {"topic": one.topic, "partition": one.partition}
        if isinstance(found, KafkaError):
            return [SimpleNamespace(**told, offset=OFFSET_INVALID, error=found)]
        return [SimpleNamespace(**told, offset=found, error=None)]

    def get_watermark_offsets(self, _partition: Any, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        if self.failures:
            raise self.failures.pop()
        return 50, 90

    def goes_on(self, *outside: Outside) -> list[int]:
        for one in outside:
            self.member.intake.outside[P0] = one
        self.restarts.go_on(self.member, self.heard)
        return self.placed


@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_where_the_groups_offset_went_reading_begins_at_the_beginning(policy: str) -> None:
    """A group that begins commits where, so that nothing that is written since is passed over."""
    rig = Rig(policy)
    assert rig.goes_on(Outside(rig.number, None, NONE)) == [OFFSET_BEGINNING]
    assert rig.assigned.numbers()[P0] == rig.number
    assert rig.heard.jumps == []
    assert rig.member.intake.outside == {}


@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_what_was_removed_is_counted_and_what_was_resolved_stands(
    policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(policy)
    assert rig.goes_on(Outside(rig.number, 20, OUT_OF_RANGE)) == [50]
    assert rig.heard.jumps == [(JumpReason.REMOVED, 30)]
    assert rig.assigned.numbers()[P0] == rig.number
    (said,) = [one.message for one in caplog.records if one.levelno == logging.WARNING]
    assert "articles [0] cannot be read from offset 20, where group nerstream stands" in said
    assert "it now has 50 to 90; what stood there was removed before it was read" in said
    assert said.endswith("it is read on from offset 50")


@pytest.mark.parametrize(("end", "gone"), [(200, [(P0, 20, 50)]), (40, [(P0, 20, 40)]), (20, [])])
def test_a_bounded_run_is_told_what_of_it_was_removed(
    end: int, gone: list[tuple[TopicPartition, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, told = Rig(), []
    rig.assigned.bound({P0: end})
    monkeypatch.setattr(rig.restarts._starts, "removed", lambda *what: told.append(what))
    rig.goes_on(Outside(rig.number, 20, OUT_OF_RANGE))
    assert told == gone


@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_after_a_cut_the_offsets_come_by_again_under_a_new_number(policy: str) -> None:
    """The messages at these offsets are others than those that were resolved."""
    rig = Rig(policy)
    rig.assigned.vouch(P0, "A")
    assert rig.goes_on(Outside(rig.number, 120, OUT_OF_RANGE)) == [90]
    assert rig.heard.jumps == [(JumpReason.CUT, 0)]
    assert rig.heard.of("lost") == [P0]
    assert rig.assigned.numbers()[P0] > rig.number
    assert rig.assigned.topic_ids() == {P0: "A"}


@pytest.mark.parametrize("position", [None, 20, 120])
def test_a_worker_that_is_told_so_stops_and_names_it(position: int | None) -> None:
    rig = Rig("error")
    with pytest.raises(KafkaProblem, match=r"articles \[0\] cannot be read from .*set auto_offset"):
        rig.goes_on(Outside(rig.number, position, NONE if position is None else OUT_OF_RANGE))
    assert rig.placed == []


def test_brokers_that_do_not_answer_are_asked_again() -> None:
    rig = Rig()
    rig.failures = [KafkaException(TIMED_OUT)]
    assert rig.goes_on(Outside(rig.number, 20, OUT_OF_RANGE)) == []
    assert rig.goes_on() == []
    rig.restarts._retry_at = 0.0
    assert rig.goes_on() == [50]


def test_what_is_said_of_an_earlier_assignment_is_over() -> None:
    rig = Rig()
    assert rig.goes_on(Outside(rig.number - 1, 20, OUT_OF_RANGE)) == []
    rig.assigned.drop([P0])
    assert rig.goes_on(Outside(rig.number, 20, OUT_OF_RANGE)) == []
    assert rig.member.intake.outside == {}


def test_a_rewind_holds_where_the_client_cannot_seek() -> None:
    """It has stopped to read the partition, and refuses to seek in it."""
    rig = Rig()
    rig.assigned.rewind(P0, 60, 0.0)
    assert rig.goes_on(Outside(rig.number, 70, OUT_OF_RANGE)) == [60]
    assert rig.assigned.put_off() == {}
    assert rig.heard.jumps == []


def test_a_rewind_behind_a_cut_goes_to_the_cut() -> None:
    rig = Rig()
    rig.assigned.rewind(P0, 85, 0.0)
    assert rig.goes_on(Outside(rig.number, 88, OUT_OF_RANGE, cut=80, reached=88)) == [80]
    assert rig.assigned.put_off() == {}
    assert rig.heard.jumps == [(JumpReason.CUT, 0)]


@pytest.mark.parametrize("cut", [None, 0, 90])
def test_what_is_said_of_a_place_that_is_past_moves_nothing(cut: int | None) -> None:
    """The client speaks of offset 120 of an earlier topic; the new one is read from its beginning,
    and stands at 60. What comes from there on is unread."""
    rig = Rig()
    rig.assigned.passed(P0, 60)
    assert rig.goes_on(Outside(rig.number, 120, OUT_OF_RANGE, cut, reached=0)) == [60]
    assert rig.assigned.numbers()[P0] == rig.number
    assert rig.heard.jumps == []


def test_a_topic_that_was_made_again_is_read_from_its_beginning_whatever_is_said_late() -> None:
    rig = Rig()
    rig.assigned.passed(P0, 120)
    rig.restarts.begin_anew(rig.member, rig.heard, {P0: "B"})
    number = rig.assigned.numbers()[P0]
    assert rig.placed == [OFFSET_BEGINNING]
    # Its first messages, up to 50, are gone by retention; none of the others are passed over.
    assert rig.goes_on(Outside(number, 120, OUT_OF_RANGE)) == [OFFSET_BEGINNING, 50]
    assert rig.heard.jumps == [(JumpReason.RECREATED, 0), (JumpReason.REMOVED, 50)]


def test_where_nothing_was_read_the_groups_offset_is_believed() -> None:
    rig = Rig()
    rig.group_at = 70
    assert rig.goes_on(Outside(rig.number, 120, OUT_OF_RANGE)) == [70]
    assert rig.heard.jumps == []


def test_nothing_moves_while_a_transaction_holds_the_groups_offset() -> None:
    rig = Rig()
    rig.group_at = TIMED_OUT
    assert rig.goes_on(Outside(rig.number, 120, OUT_OF_RANGE)) == []
    rig.restarts._retry_at, rig.group_at = 0.0, 70
    assert rig.goes_on() == [70]


def test_what_was_moved_stands_where_it_was_moved_to() -> None:
    """A second word about the old place, 20, does not count what was removed once more."""
    rig = Rig()
    assert rig.goes_on(Outside(rig.number, 20, OUT_OF_RANGE)) == [50]
    assert rig.goes_on(Outside(rig.number, 20, OUT_OF_RANGE)) == [50, 50]
    assert rig.heard.jumps == [(JumpReason.REMOVED, 30)]
