"""Dead letters as the worker writes them, for tests that read and send them back."""

from __future__ import annotations

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.messages import (
    Headers,
    Outgoing,
    Position,
    RawMessage,
    Rejected,
    TopicPartition,
)
from consumer.pipeline.dead_letters import dead_letter
from tests.integration.rigs.helpers import Record

#: A day that all messages of a test share, milliseconds since the epoch: 2026-11-29T06:00Z.
DAY_MS = 1_795_932_000_000


def original(
    number: int,
    *,
    topic: str = "articles",
    partition: int = 0,
    key: bytes | None = None,
    headers: Headers | None = None,
    value: bytes | None = b"",
    timestamp_ms: int | None = DAY_MS,
) -> RawMessage:
    """Message `number` of an input partition, which is its offset there too."""
    return RawMessage(
        Position(TopicPartition(topic, partition), number),
        key,
        b'{"id": "%d"' % number if value == b"" else value,
        ((("n", str(number).encode()),) if headers is None else headers),
        timestamp_ms if timestamp_ms is None else timestamp_ms + number,
        0,
    )


def letter(
    raw: RawMessage,
    *,
    code: RejectCode = RejectCode.INVALID_JSON,
    reason: str = "ends in the midst of an object",
    to: str = "dead",
    partition: int = 0,
) -> Outgoing:
    """What the worker writes of it when it rejects it."""
    return dead_letter(Rejected(raw, code, reason, RejectStage.PREPARE), to, partition, "1.2.3")


def at(outgoing: Outgoing, offset: int) -> RawMessage:
    """A message as it is read from its topic, where it stands at this offset."""
    assert outgoing.partition is not None
    return RawMessage(
        Position(TopicPartition(outgoing.topic, outgoing.partition), offset),
        outgoing.key,
        outgoing.value,
        outgoing.headers,
        outgoing.timestamp_ms,
        0,
    )


def record(outgoing: Outgoing) -> Record:
    """The same for a producer of the tests."""
    return Record(
        value=outgoing.value,
        key=outgoing.key,
        headers=outgoing.headers,
        timestamp_ms=outgoing.timestamp_ms,
        partition=outgoing.partition,
    )
