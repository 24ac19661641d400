"""Intake: what the client gives out in one go, messages and events between them."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError

from consumer.contracts.messages import RawMessage
from consumer.kafka.client import ClientWatch
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.intake import Intake
from tests.support.fakes import P0


class Event:
    """One message, or an event in the place of one, as the client gives it."""

    def __init__(self, offset: int | None, error: KafkaError | None = None) -> None:
        self._offset, self._error = offset, error

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return P0.topic

    def partition(self) -> int:
        return P0.partition

    def offset(self) -> int | None:
        return self._offset

    def leader_epoch(self) -> int:
        return 0

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return b"{}"

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (0, 0)


def _sorted(*events: Event) -> tuple[Intake, AssignedPartitions, list[RawMessage]]:
    assigned = AssignedPartitions()
    assigned.add([P0])
    intake = Intake(assigned, ClientWatch())
    taken: list[RawMessage] = []
    given: list[Any] = [*events]
    intake.sort(given, taken)
    return intake, assigned, taken


OUT_OF_RANGE = KafkaError(KafkaError._AUTO_OFFSET_RESET, "Broker: Offset out of range")
EOF = KafkaError(KafkaError._PARTITION_EOF)


def test_what_came_before_an_event_was_read() -> None:
    """Reading goes on from there; to forget it would double these messages."""
    intake, assigned, taken = _sorted(Event(5), Event(6), Event(7, OUT_OF_RANGE))
    assert [raw.position.offset for raw in taken] == [5, 6]
    assert assigned.read_offsets() == {P0: 7}
    outside = intake.outside[P0]
    assert (outside.position, outside.reached) == (7, 7)


def test_an_event_that_comes_before_all_messages_is_about_none_of_them() -> None:
    """It was said of an earlier topic of that name."""
    intake, assigned, _ = _sorted(Event(20, OUT_OF_RANGE), Event(0), Event(1))
    assert assigned.read_offsets() == {P0: 2}
    outside = intake.outside[P0]
    assert (outside.position, outside.reached) == (20, None)


def test_the_end_stands_after_what_no_message_shows() -> None:
    _, assigned, _ = _sorted(Event(5), Event(9, EOF))
    assert assigned.read_offsets() == {P0: 9}
    _, assigned, _ = _sorted(Event(5), Event(9, EOF), Event(9))
    assert assigned.read_offsets() == {P0: 10}
