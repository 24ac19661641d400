"""OwnerCalls: other threads hand calls on the consumer to the thread that owns it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from consumer.contracts.errors import AbortableError

T = TypeVar("T")

#: Longest wait for the owner to come by; it does so every few milliseconds while it polls.
PATIENCE_S = 30.0


class _Waiting(Generic[T]):
    """One call, and what came of it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.call = call
        self.begun = False
        self.done = threading.Event()
        self.answer: T
        self.failure: BaseException | None = None


class OwnerCalls:
    """One thread owns the consumer; the others ask it to make their calls.

    confluent-kafka (2.16) lets one thread at a time into a consumer. A poll keeps the others out
    for as long as it waits, so that a call from another thread starves while the owner polls. It
    waits for ever where the owner, in a rebalance callback, waits for that very call.

    The thread that makes this object is the owner until `own` is called by another.
    """

    def __init__(self) -> None:
        self._owner = threading.get_ident()
        self._waiting: deque[_Waiting[Any]] = deque()
        self._closed = False
        self._lock = threading.Condition()

    def own(self) -> None:
        """The calling thread is the owner from now on."""
        self._owner = threading.get_ident()

    @property
    def is_owner(self) -> bool:
        """Whether the calling thread is the owner."""
        return threading.get_ident() == self._owner

    def run(self, call: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        """Have the call made and wait for its answer. Any thread; the owner makes it at once.

        Raises:
            AbortableError: the consumer is closed, or the owner did not come by in time; the
                call was not made and will not be.
            Exception: what the call raised.
        """
        if self.is_owner and not self._closed:
            return call()
        asked = _Waiting(call)
        with self._lock:
            if self._closed:
                raise AbortableError("the consumer is closed, so nothing can be committed any more")
            self._waiting.append(asked)
            self._lock.notify_all()
        if not asked.done.wait(patience_s):
            with self._lock:
                if not asked.begun:
                    self._waiting.remove(asked)
                    raise AbortableError(f"the consumer was not free within {patience_s:g} s")
            asked.done.wait()
        if asked.failure is not None:
            raise asked.failure
        return asked.answer

    def serve(self, wait_s: float = 0.0) -> None:
        """Make the calls that wait, after waiting so long for one. The owner only."""
        if wait_s:
            with self._lock:
                self._lock.wait_for(lambda: self._waiting, wait_s)
        while self._waiting:
            with self._lock:
                if not self._waiting:
                    return
                one = self._waiting.popleft()
                one.begun = True
            try:
                one.answer = one.call()
            except BaseException as failure:  # belongs to the thread that asked
                one.failure = failure
            one.done.set()

    def close(self) -> None:
        """Refuse what waits and what comes. The owner only."""
        with self._lock:
            self._closed = True
            refused = list(self._waiting)
            self._waiting.clear()
        for one in refused:
            one.begun = True
            one.failure = AbortableError(
                "the consumer is closed, so nothing can be committed any more"
            )
            one.done.set()
