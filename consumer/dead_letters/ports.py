"""What a replay needs of Kafka, which `consumer.kafka.tools` fulfils, and of the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from consumer.contracts.choices import RejectCode
from consumer.contracts.cluster import Bounds
from consumer.contracts.messages import Outgoing, Position, RawMessage, TopicPartition


class Reader(Protocol):
    """Reads the dead-letter topic as a `read_committed` reader, from one point to another."""

    def bounds(self) -> Mapping[int, Bounds]:
        """What each partition holds now."""

    def partition_count(self, topic: str) -> int | None:
        """Partitions of any topic, 0 where there is none of this name; None where this user may
        not see it or write to it."""

    def start(self, spans: Mapping[int, tuple[int, int]]) -> None:
        """Read these partitions, each from an offset to another that is not included."""

    @property
    def places(self) -> Mapping[int, int]:
        """Of each partition that is not read to its end: the next offset. Empty at the end."""

    @property
    def left(self) -> int:
        """Offsets that are still to be read."""

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        """Take what has come; waits up to `timeout_s` for the first message.

        Raises:
            KafkaProblem: reading cannot go on.
        """


class Writer(Protocol):
    """Writes in transactions, one writer of a name at a time; see `TransactionalWriter`."""

    def open(self) -> None:
        """Begin anew: fence every earlier writer of this name, and end what it left open.

        Raises:
            AbortableError: another try may help.
            KafkaProblem: the brokers refuse.
        """

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            RenewalDue: `open` is due first.
            AbortableError: the brokers do not answer.
        """

    @property
    def is_open(self) -> bool:
        """Whether a transaction was begun and not ended."""

    @property
    def open_s(self) -> float:
        """Seconds since the begin of the open transaction; 0 where there is none."""

    def send(self, message: Outgoing) -> None:
        """Queue one message.

        Raises:
            RejectedMessage: the client cannot write it.
            AbortableError, KafkaProblem: an earlier message failed.
        """

    def commit(self) -> bool:
        """Commit what was sent; false where `open` is due before the next `begin`.

        Raises:
            AbortableError: it was not committed, or it is not known whether it was.
            KafkaProblem: another writer has the name, or the brokers refuse.
        """

    def abort(self) -> None:
        """Take back what was sent since `begin`.

        Raises:
            KafkaProblem: another writer has the name.
        """

    def settle(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Messages that answer what stands before these offsets do not come by again."""

    def refused(self, topic: str, position: Position) -> RejectCode | None:
        """Why the topic does not take the message that answers this position; None if it does, as
        far as is known."""


class Progress(Protocol):
    """Shows a person how far it is."""

    def reading(self, left: int) -> None:
        """So many offsets are still to be read before anything is sent."""

    def sending(self, sent: int, total: int) -> None:
        """So many letters are sent for good, of so many."""

    def status(self, text: str) -> None:
        """What is waited for."""
