"""Commits: offsets for the group; whoever waits for the answer does not hold the consumer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException

from consumer.contracts.errors import AbortableError


class Commit:
    """One commit that is under way.

    Args:
        offsets: what is committed, as the client's partitions.
    """

    def __init__(self, offsets: list[Any]) -> None:
        self.offsets = offsets
        self._done = threading.Event()
        self._failure: Exception | None = None

    def wait(self, timeout_s: float) -> None:
        """Until it is answered. Any thread but the consumer's own.

        Raises:
            KafkaException: as the client says.
            AbortableError: no answer came in time, or none can come.
        """
        if not self._done.wait(timeout_s):
            raise AbortableError(f"the offsets are not committed: no answer in {timeout_s:.0f} s")
        if self._failure is not None:
            raise self._failure

    def end(self, failure: Exception | None) -> None:
        """It is answered."""
        self._failure = failure
        self._done.set()


class Commits:
    """The commits of one consumer. Owned by the thread that polls it.

    The client's own way to wait, `commit(asynchronous=False)`, has no timeout. A consumer that has
    forgotten all brokers never returns from it, and cannot be closed either.
    """

    def __init__(self) -> None:
        self._under_way: list[Commit] = []

    @property
    def any(self) -> bool:
        """Whether an answer is due; it comes while the consumer is polled."""
        return bool(self._under_way)

    def begin(self, consumer: Any, offsets: list[Any]) -> Commit:
        """Begin one.

        Raises:
            KafkaException: as the client says.
        """
        commit = Commit(offsets)
        self._under_way.append(commit)
        try:
            consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException:
            self._under_way.remove(commit)
            raise
        return commit

    def answered(self, error: Any, partitions: Sequence[Any]) -> None:
        """The client's `on_commit`."""
        about = _content(partitions)
        commit = next((one for one in self._under_way if _content(one.offsets) == about), None)
        if commit is not None:
            self._under_way.remove(commit)
            commit.end(_failure(error, partitions))

    def insist(self, consumer: Any) -> None:
        """Make all of them again, and wait. In a rebalance callback nobody polls the client, which
        has just heard from the group.
        """
        for commit in self._under_way:
            try:
                answers = consumer.commit(offsets=commit.offsets, asynchronous=False)
            except KafkaException as failed:
                commit.end(failed)
            else:
                commit.end(_failure(None, answers))
        self._under_way.clear()

    def give_up(self) -> None:
        """No answer will come any more."""
        for commit in self._under_way:
            commit.end(AbortableError("the offsets are not committed: the consumer is given up"))
        self._under_way.clear()


def _content(partitions: Sequence[Any]) -> frozenset[tuple[str, int, int]]:
    return frozenset((one.topic, one.partition, one.offset) for one in partitions)


def _failure(error: Any, partitions: Sequence[Any]) -> KafkaException | None:
    errors = [error, *(one.error for one in partitions)]
    found = next((one for one in errors if one is not None), None)
    return None if found is None else KafkaException(found)
