"""Stale: finds messages in flight of which nothing can be committed any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from consumer.contracts.messages import RawMessage
from consumer.pipeline.bookkeeping.in_flight import InFlight
from consumer.pipeline.bookkeeping.ownership import Ownership

T = TypeVar("T")


class Stale:
    """Belongs to one stage, through which messages pass in the order in which they were read.

    After a rewind or a rebalance, what was read before it is read again, here or by another worker.
    A commit under its old assignment would be refused, and its assignment does not come back. So
    there is no use in working on it, and the model would be busy with it for as long as all that is
    in flight takes.

    A stale message was in flight when its assignment ended. Once as many messages have passed as
    were in flight then, none is left, and the stage need not look.

    Args:
        ownership: knows under which number each partition is read.
        in_flight: knows how many messages there are.
    """

    def __init__(self, ownership: Ownership, in_flight: InFlight) -> None:
        self._ownership = ownership
        self._in_flight = in_flight
        self._changes = ownership.changes
        self._suspects = 0

    def sift(
        self, items: Sequence[T], raw: Callable[[T], RawMessage]
    ) -> tuple[Sequence[T], tuple[RawMessage, ...]]:
        """The items to work on, and the messages of the others, both in their order.

        Args:
            raw: gives an item's message.
        """
        # In this order: what is read after the change has the new numbers.
        changes = self._ownership.changes
        if changes != self._changes:
            self._changes, self._suspects = changes, self._in_flight.messages
        if self._suspects <= 0:
            return items, ()
        self._suspects -= len(items)
        kept: list[T] = []
        stale: list[RawMessage] = []
        for item in items:
            message = raw(item)
            if self._ownership.holds(message):
                kept.append(item)
            else:
                stale.append(message)
        return kept, tuple(stale)
