"""A message as the client library gives it, without a broker."""

from __future__ import annotations

from confluent_kafka import TIMESTAMP_CREATE_TIME, KafkaError


class Message:
    """A message, or an event in the place of one."""

    def __init__(
        self, offset: int | None, partition: int = 0, error: KafkaError | None = None
    ) -> None:
        self._offset, self._partition, self._error = offset, partition, error

    def topic(self) -> str:
        return "articles"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int | None:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error

    def leader_epoch(self) -> int:
        return 3

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return b"{}"

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_CREATE_TIME, 1
