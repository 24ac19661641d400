"""Joining: finds out why the group gives this worker no partition."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from consumer.contracts.choices import GroupProtocol
from consumer.kafka.client import ClientWatch
from consumer.kafka.internal_topics import OFFSETS, InternalTopics
from consumer.settings.schema import Settings

#: Seconds without a partition until the first look; a new group takes three by default.
_FIRST_S = 3.5

#: Seconds between two looks from then on.
_AGAIN_S = 5.0

_NONE_LEFT = (
    "the group has none left for it: there are more workers than partitions, or another worker has "
    "yet to give one up"
)
_SHARING = "the group shares out its partitions and waits for its other members"
_NO_COORDINATOR = "the brokers name no coordinator of the group yet"
_NOTHING_KNOWN = "the group has given it none yet"


class Joining:
    """Asks beside the polling, which never waits for it. The poll thread calls `look`.

    The client itself says nothing: it asks for the group's coordinator again and again, for ever.

    Args:
        settings: how to reach the brokers.
        clock: seconds, monotonic.

    Attributes:
        reason: for a person; empty while there are partitions, and at first.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.reason = ""
        # Under the consumer protocol a member whose share is empty stays as it began.
        protocol = settings.group_protocol
        self._joined = {"steady", "init"} if protocol is GroupProtocol.CONSUMER else {"steady"}
        self._topics = InternalTopics(settings)
        self._clock = clock
        self._due_at: float | None = None
        self._asking: threading.Thread | None = None

    def look(self, watch: ClientWatch, assigned: bool) -> None:
        """Called whenever the group was polled. Never blocks.

        Args:
            watch: what the consumer says of its group.
            assigned: whether it has partitions.
        """
        if assigned:
            self.reason, self._due_at = "", None
            return
        now = self._clock()
        if self._due_at is None:
            self._due_at = now + _FIRST_S
        if now < self._due_at or (self._asking is not None and self._asking.is_alive()):
            return
        self._due_at = now + _AGAIN_S
        if watch.group_state == "up":
            self.reason = _NONE_LEFT if watch.join_state in self._joined else _SHARING
            return
        otherwise = _NO_COORDINATOR if watch.group_state else _NOTHING_KNOWN
        self._asking = threading.Thread(
            target=self._ask, args=(otherwise,), name="nerstream-joining", daemon=True
        )
        self._asking.start()

    def _ask(self, otherwise: str) -> None:
        self.reason = self._topics.obstacle(OFFSETS) or otherwise
