"""A client's message as the value that travels."""

from __future__ import annotations

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE

from consumer.contracts.messages import Headers, Position, RawMessage, TopicPartition
from consumer.kafka.messages import raw_message

ODD_HEADERS: Headers = (("", b""), ("a", None), ("a", b"\xff"), ("\U0001f44b", b"1"))


class Message:
    """A message of the client's; headers that are an exception are raised."""

    def __init__(
        self, headers: Headers | Exception | None, timestamp: tuple[int, int] = (1, 5)
    ) -> None:
        self._headers, self._timestamp = headers, timestamp

    def topic(self) -> str:
        return "articles"

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return 7

    def key(self) -> bytes:
        return b""

    def value(self) -> None:
        return None

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        if isinstance(self._headers, Exception):
            raise self._headers
        return None if self._headers is None else list(self._headers)

    def timestamp(self) -> tuple[int, int]:
        return self._timestamp


def travelling(
    headers: Headers, timestamp_ms: int | None = 5, has_unreadable_headers: bool = False
) -> RawMessage:
    position = Position(TopicPartition("articles", 2), 7)
    return RawMessage(position, b"", None, headers, timestamp_ms, 3, has_unreadable_headers)


@pytest.mark.parametrize("headers", [(), ODD_HEADERS])
def test_nothing_of_a_message_is_lost(headers: Headers) -> None:
    assert raw_message(Message(headers), 3) == travelling(headers)


def test_a_message_without_headers_has_none() -> None:
    assert raw_message(Message(None), 3) == travelling(())


@pytest.mark.parametrize(
    "failure",
    [
        SystemError("returned a result with an exception set"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
)
def test_headers_that_the_client_cannot_read_are_told_of(failure: Exception) -> None:
    assert raw_message(Message(failure), 3) == travelling((), has_unreadable_headers=True)


@pytest.mark.parametrize(
    ("timestamp", "timestamp_ms"),
    [
        ((TIMESTAMP_CREATE_TIME, -1), None),
        ((TIMESTAMP_CREATE_TIME, 0), 0),
        ((TIMESTAMP_CREATE_TIME, -2), -2),
        ((TIMESTAMP_CREATE_TIME, 2**63 - 1), 2**63 - 1),
        ((TIMESTAMP_NOT_AVAILABLE, -1), None),
    ],
)
def test_a_time_is_taken_as_it_stands(timestamp: tuple[int, int], timestamp_ms: int | None) -> None:
    assert raw_message(Message((), timestamp), 3) == travelling((), timestamp_ms)
