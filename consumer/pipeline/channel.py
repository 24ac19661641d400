"""Channel: a bounded first-in-first-out queue between two threads.

`queue.Queue` cannot be closed, cannot say that its reader is waiting, and cannot let a command
overtake the work; the pipeline needs all three.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ChannelClosed(Exception):
    """Nothing more will come out of, or may go into, this channel."""


class ChannelAborted(ChannelClosed):
    """The channel was closed in mid-work: what it held is released, and its reader should stop."""


class Channel(Generic[T]):
    """One writer puts, one reader gets; commands from anywhere overtake.

    A writer that found it full goes on when it is half empty. Two threads that wait for each other
    at every item would spend more on waiting than on the items.

    Args:
        capacity: items that wait at most; None where something else bounds them.
        on_demand: called outside the lock, whenever an item was taken or the reader begins to wait.
            The writer may then hand over what it was holding back.
    """

    def __init__(self, capacity: int | None, on_demand: Callable[[], None] | None = None) -> None:
        self._capacity = capacity
        self._on_demand = on_demand
        self._items: deque[T] = deque()
        self._urgent: deque[T] = deque()
        self._closed = False
        self._aborted = False
        self._reader_waits = False
        self._woken = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Items that wait, commands not counted. Any thread."""
        return len(self._items)

    @property
    def has_room(self) -> bool:
        """Whether `put` would not block now. Any thread."""
        return self._capacity is None or len(self._items) < self._capacity

    @property
    def aborted(self) -> bool:
        """Whether it was closed in mid-work. Any thread."""
        return self._aborted

    @property
    def reader_waits(self) -> bool:
        """Whether the reader has nothing to do. Any thread."""
        return self._reader_waits

    def put(self, item: T) -> None:
        """Append an item; blocks while the channel is full.

        Raises:
            ChannelClosed: the channel was closed or aborted.
        """
        with self._changed:
            if not self.has_room:
                while not self._is_half_empty and not self._closed:
                    self._changed.wait()
            if self._closed:
                raise self._end()
            self._items.append(item)
            self._changed.notify_all()

    def put_many(self, items: Sequence[T]) -> None:
        """Append items, all at once; for a channel without a capacity.

        Raises:
            ChannelClosed: the channel was closed or aborted.
        """
        assert self._capacity is None, "a channel with a capacity takes one item at a time"
        with self._changed:
            if self._closed:
                raise self._end()
            self._items.extend(items)
            self._changed.notify_all()

    def put_urgent(self, item: T) -> None:
        """Let a command overtake what waits; never blocks, works on a closed channel too."""
        with self._changed:
            self._urgent.append(item)
            self._changed.notify_all()

    def get(self, timeout_s: float | None = None) -> T | None:
        """Take the next item, commands first; None when `timeout_s` passed or `wake` was called.

        Raises:
            ChannelClosed: closed and drained.
            ChannelAborted: aborted.
        """
        items = self.get_many(1, timeout_s=timeout_s)
        return items[0] if items else None

    def get_many(
        self,
        limit: int,
        *,
        timeout_s: float | None = None,
        weigh: Callable[[T], int] | None = None,
        max_weight: int = 0,
    ) -> list[T]:
        """Take what waits, up to `limit` items, waiting for the first one only.

        Args:
            weigh, max_weight: stop before the items together weigh more; the first is always taken.

        Raises:
            ChannelClosed: closed and drained.
            ChannelAborted: aborted.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if not self._items and not self._urgent:
            self._reader_waits = True
            self._demand()
        with self._changed:
            try:
                while not self._items and not self._urgent and not self._woken:
                    if self._closed:
                        raise self._end()
                    remaining = None if deadline is None else deadline - time.monotonic()
                    if remaining is not None and remaining <= 0:
                        break
                    self._reader_waits = True
                    self._changed.wait(remaining)
                if self._aborted:
                    raise ChannelAborted
            finally:
                self._reader_waits = False
                self._woken = False
            taken = self._take(limit, weigh, max_weight)
            self._changed.notify_all()
        if taken:
            self._demand()
        return taken

    def get_ready(self) -> T | None:
        """Take the next item without waiting; None when there is none, or a command comes first.

        What was put after a command may depend on it, and must not be taken before it.
        """
        with self._changed:
            item = self._items.popleft() if self._items and not self._urgent else None
            self._changed.notify_all()
        if item is not None:
            self._demand()
        return item

    def clear(self) -> list[T]:
        """Take out all that waits, commands not counted; never blocks. Any thread."""
        with self._changed:
            taken = list(self._items)
            self._items.clear()
            self._changed.notify_all()
        return taken

    def wake(self) -> None:
        """Let a waiting `get` return with nothing, so that its thread looks what to do. Any
        thread."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def resize(self, capacity: int) -> None:
        """Let so many items wait from now on; what waits beyond that stays. Any thread."""
        with self._changed:
            self._capacity = capacity
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will be put; the reader gets what waits and then `ChannelClosed`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Close, and throw away what waits."""
        with self._changed:
            self._closed = self._aborted = True
            self._items.clear()
            self._urgent.clear()
            self._changed.notify_all()

    @property
    def _is_half_empty(self) -> bool:
        return self._capacity is None or len(self._items) <= self._capacity // 2

    def _end(self) -> ChannelClosed:
        return ChannelAborted() if self._aborted else ChannelClosed()

    def _take(self, limit: int, weigh: Callable[[T], int] | None, max_weight: int) -> list[T]:
        if self._urgent:
            return [self._urgent.popleft()]
        taken: list[T] = []
        weight = 0
        while self._items and len(taken) < limit:
            if weigh is not None:
                weight += weigh(self._items[0])
                if taken and weight > max_weight:
                    break
            taken.append(self._items.popleft())
        return taken

    def _demand(self) -> None:
        if self._on_demand is not None:
            self._on_demand()


def wake(*channels: Channel[Any]) -> None:
    """`Channel.wake` of each."""
    for channel in channels:
        channel.wake()
