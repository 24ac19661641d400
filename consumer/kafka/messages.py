"""A message of the client's as the value that travels."""

from __future__ import annotations

from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from consumer.articles import Position, RawMessage, TopicPartition


def raw_message(message: Any, assignment: int) -> RawMessage:
    """The client's message, without an error, as a `RawMessage`.

    Args:
        assignment: number of the assignment under which it was read.
    """
    kind, timestamp_ms = message.timestamp()
    return RawMessage(
        position=Position(TopicPartition(message.topic(), message.partition()), message.offset()),
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
        timestamp_ms=None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
        assignment=assignment,
    )
