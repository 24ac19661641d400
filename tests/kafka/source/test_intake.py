"""Intake: what the client gives out in one go, messages and events between them."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError

from consumer.contracts.messages import RawMessage
from consumer.kafka.client import ClientWatch
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.intake import Intake
from tests.support.fakes import P0
from tests.support.memory.client_message import Message


def _sorted(*events: Message) -> tuple[Intake, AssignedPartitions, list[RawMessage]]:
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
    intake, assigned, taken = _sorted(Message(5), Message(6), Message(7, error=OUT_OF_RANGE))
    assert [raw.position.offset for raw in taken] == [5, 6]
    assert assigned.read_offsets() == {P0: 7}
    outside = intake.outside[P0]
    assert (outside.position, outside.reached) == (7, 7)


def test_an_event_that_comes_before_all_messages_is_about_none_of_them() -> None:
    """It was said of an earlier topic of that name."""
    intake, assigned, _ = _sorted(Message(20, error=OUT_OF_RANGE), Message(0), Message(1))
    assert assigned.read_offsets() == {P0: 2}
    outside = intake.outside[P0]
    assert (outside.position, outside.reached) == (20, None)


def test_the_end_stands_after_what_no_message_shows() -> None:
    _, assigned, _ = _sorted(Message(5), Message(9, error=EOF))
    assert assigned.read_offsets() == {P0: 9}
    _, assigned, _ = _sorted(Message(5), Message(9, error=EOF), Message(9))
    assert assigned.read_offsets() == {P0: 10}
