"""Turns a message of the client into a `RawMessage`."""

from __future__ import annotations

from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from consumer.contracts.messages import Headers, Position, RawMessage, TopicPartition, made
from consumer.kafka import header_names

#: The timestamp, in Kafka's protocol, of a record that has none.
NO_TIMESTAMP = -1


def raw_message(
    message: Any, assignment: int, partition: TopicPartition | None = None
) -> RawMessage:
    """The client's message, without an error, as a `RawMessage`.

    Args:
        assignment: number of the assignment under which it was read.
        partition: where it stands, if that is known; one object for all messages of a partition.
    """
    if partition is None:
        partition = TopicPartition(message.topic(), message.partition())
    kind, timestamp_ms = message.timestamp()
    carried = header_names.carried(message)
    headers = _headers(message) if carried is None else carried
    has_none = kind == TIMESTAMP_NOT_AVAILABLE or timestamp_ms == NO_TIMESTAMP
    return made(
        RawMessage,
        (
            made(Position, (partition, message.offset())),
            message.key(),
            message.value(),
            headers or (),
            None if has_none else timestamp_ms,
            assignment,
            headers is None or carried is not None,
            None,
        ),
    )


def _headers(message: Any) -> Headers | None:
    """The headers; None where the client cannot read a name.

    Ask once for each message: after such a failure the client gives out broken objects.
    """
    try:
        found = message.headers()
        return tuple(found) if found else ()
    except (SystemError, UnicodeDecodeError):
        # The client's method fails to decode the name. It forgets to raise that, and Python wraps
        # it.
        return None
