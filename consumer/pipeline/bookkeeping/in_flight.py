"""InFlight: counts what lies between poll and commit; says whether reading must pause."""

from __future__ import annotations

import threading

#: Reading goes on once the load has fallen to this share of the bound. A pause drops what the
#: client has prefetched, so pauses must not follow one another closely.
RESUME_RATIO = 0.5


class InFlight:
    """Counts messages and bytes. Any thread may call; each call is a few instructions.

    Args:
        max_messages: `in_flight_articles`.
        max_bytes: `in_flight_bytes`.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages = 0
        self._size_bytes = 0
        self._lock = threading.Lock()

    @property
    def messages(self) -> int:
        """Messages read and not yet committed or let go."""
        return self._messages

    @property
    def size_bytes(self) -> int:
        """Their bytes."""
        return self._size_bytes

    @property
    def room(self) -> int:
        """Messages that may still be read before the bound."""
        return max(0, self._max_messages - self._messages)

    def add(self, messages: int, size_bytes: int) -> None:
        """So much was read."""
        with self._lock:
            self._messages += messages
            self._size_bytes += size_bytes

    def remove(self, messages: int, size_bytes: int) -> None:
        """So much was committed or let go."""
        with self._lock:
            self._messages -= messages
            self._size_bytes -= size_bytes

    @property
    def must_pause(self) -> bool:
        """Whether a bound is reached."""
        return self._messages >= self._max_messages or self._size_bytes >= self._max_bytes

    @property
    def may_resume(self) -> bool:
        """Whether the load is well under both bounds."""
        return (
            self._messages <= self._max_messages * RESUME_RATIO
            and self._size_bytes <= self._max_bytes * RESUME_RATIO
        )
