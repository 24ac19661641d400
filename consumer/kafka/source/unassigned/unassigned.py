"""Unassigned: notices partitions that the group has given to no worker."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.unassigned.group_view import GroupView
from consumer.kafka.source.unassigned.rejoins import Rejoins

#: Partitions that a log line names at most.
_NAMES = 10

_log = logging.getLogger(__name__)


class Unassigned:
    """Looks at the group beside the polling, which never waits for it. The poll thread owns it; any
    thread may call `troubles`.

    Under the classic protocol one of the workers says what each gets. Where it asks the brokers
    while a topic is gone, it gives that topic's partitions to whoever has them, and those of a
    worker that has just left to nobody. librdkafka (2.16) asks for no new round when the topic is
    back. A worker that leaves the group and joins it again makes one.

    Args:
        group_id: for a person.
        revoke_timeout_s: how long a worker may take to give a partition up.
        look: at the group, and who has which partition of these topics; may block for seconds.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        group_id: str,
        revoke_timeout_s: float,
        look: Callable[[Collection[str]], GroupView | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group_id = group_id
        self._look = look
        self._clock = clock
        self._rejoins = Rejoins(revoke_timeout_s)
        self._sign: object = None
        self._looking: threading.Thread | None = None
        self._asked_at = 0.0
        self._view: GroupView | None = None
        self._told: frozenset[TopicPartition] = frozenset()

    def step(self, sign: object, topics: Collection[str], member_id: Callable[[], str]) -> bool:
        """Called whenever the group was polled. Never blocks.

        Args:
            sign: another value whenever the group has shared out partitions, or a topic has come
                or gone.
            topics: those that this worker asks for, all of them there; empty while one is not.
            member_id: of this worker.

        Returns:
            Whether this worker should leave the group and join it again.
        """
        now = self._clock()
        if sign != self._sign:
            self._sign = sign
            self._rejoins.doubt(now)
        looking = self._looking
        if looking is not None:
            if looking.is_alive():
                return False
            self._looking = None
            due = self._rejoins.saw(self._view, member_id(), self._asked_at, now)
            self._tell()
            if due:
                self._rejoins.rejoined(now)
            return due
        if topics and self._rejoins.wants_look(now):
            self._asked_at, self._view = now, None
            self._looking = threading.Thread(
                target=self._ask, args=(tuple(topics),), name="nerstream-group", daemon=True
            )
            self._looking.start()
        return False

    def troubles(self) -> list[str]:
        """What waits for a person. Any thread."""
        told = self._told
        if not told:
            return []
        return [
            f"no worker of group {self._group_id} has {_names(told)}; one of them leaves the group "
            "and joins it again, so that it shares out its partitions anew"
        ]

    def _ask(self, topics: Collection[str]) -> None:
        self._view = self._look(topics)

    def _tell(self) -> None:
        left = self._rejoins.left
        if left - self._told:
            _log.warning(
                "no worker of group %s has %s, though the topic is there; the group is to share "
                "out its partitions anew",
                *(self._group_id, _names(left)),
            )
        elif self._told and self._view is not None and not self._view.unassigned:
            _log.info("each partition has a worker of group %s again", self._group_id)
        elif self._told and not left:
            return  # not known at the moment
        self._told = left


def _names(partitions: Iterable[TopicPartition]) -> str:
    names = [f"{one.topic} [{one.partition}]" for one in sorted(partitions)]
    return ", ".join(names[:_NAMES]) + (", ..." if len(names) > _NAMES else "")
