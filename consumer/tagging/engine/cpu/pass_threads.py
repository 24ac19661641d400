"""PassThreads: threads in which torch computes alone, one a core."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Barrier
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")


class PassThreads:
    """Started when this is made. A process that was forked since has none of them, and starts its
    own with the first call; it is made by one thread, before others compute.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._begin()

    def submit(self, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> Future[T]:
        """As an executor's."""
        self._require()
        return self._pool.submit(call, *args, **named)

    def map(self, call: Callable[[A], T], many: Iterable[A]) -> Iterator[T]:
        """As an executor's."""
        self._require()
        return self._pool.map(call, many)

    def shutdown(self) -> None:
        """End them; no call may follow."""
        if self._pid == os.getpid():
            self._pool.shutdown()

    def _require(self) -> None:
        if self._pid != os.getpid():
            self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._pool = _single_threads(self._count)


def _single_threads(count: int) -> ThreadPoolExecutor:
    """Threads in which torch computes alone, started."""
    all_there = Barrier(count)

    def begin() -> None:
        # With the first call the thread takes over the number that holds for the process. Without
        # it that would happen at the first pass, and undo the second call.
        torch.get_num_threads()
        torch.set_num_threads(1)
        all_there.wait()

    threads = ThreadPoolExecutor(count, thread_name_prefix="nerstream-pass")
    wait([threads.submit(begin) for _ in range(count)])
    # What a thread sets for itself, torch gives to every thread that begins later.
    torch.set_num_threads(count)
    return threads
