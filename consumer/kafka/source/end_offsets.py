"""EndOffsets: asks in the background where the input partitions end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any

import confluent_kafka
from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumer.contracts.messages import TopicPartition
from consumer.kafka.client import ClientWatch
from consumer.kafka.errors import LEADER_MOVED, error_of, offset_of

#: For each end, the isolation level of a reader who gets that far.
_LEVELS = (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)

_log = logging.getLogger(__name__)


class EndOffsets:
    """Asks the brokers for both ends of partitions, and never waits for the answer.

    One end is the last stable offset: as far as a `read_committed` reader gets. The other is the
    high watermark, behind every message. What an open transaction holds stands between the two.
    The consumer could not tell them: it learns nothing of a paused partition.

    Args:
        make: makes the client to ask with, with `ASKING_PROPERTIES` and a watch of its own.
        clock: seconds, monotonic.
    """

    #: Seconds between two questions; as often as Prometheus looks, and light on the brokers.
    INTERVAL_S = 5.0

    #: Seconds after which a question without an answer is given up.
    REQUEST_TIMEOUT_S = 10.0

    #: Seconds between two clients, where partitions are not led where the client looks for them.
    #: Only a new one looks anew; the other is kept until what it was asked is answered.
    RENEW_S = 10.0

    def __init__(
        self,
        make: Callable[[ClientWatch], AdminClient],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._watch = ClientWatch()
        self._admin = make(self._watch)
        self._clock = clock
        self._is_misled = False
        self._renew_at = 0.0
        self._retired: list[tuple[AdminClient, float]] = []
        self._asked_at: float | None = None
        self._asked: frozenset[TopicPartition] = frozenset()
        self._pending: dict[tuple[IsolationLevel, TopicPartition], Future[Any]] = {}
        self._known: dict[IsolationLevel, dict[TopicPartition, int]] = {
            level: {} for level in _LEVELS
        }

    def refresh(self, partitions: Collection[TopicPartition]) -> None:
        """Take the answers that have come, and ask again when it is time. Never blocks."""
        now = self._clock()
        self._retired = [one for one in self._retired if now - one[1] < self.REQUEST_TIMEOUT_S]
        # Serves the client's callbacks.
        self._admin.poll(0)
        self._watch.renew(self._admin)
        for question in [one for one, answer in self._pending.items() if answer.done()]:
            self._take(*question, self._pending.pop(question))
        if self._pending:
            return
        # Only without a question under way: its answer would come to a client that is gone.
        if self._watch.is_stranded or (self._is_misled and now >= self._renew_at):
            self._renew(now)
        if not partitions:
            return
        new = not self._asked.issuperset(partitions)
        if self._asked_at is None or new or now - self._asked_at >= self.INTERVAL_S:
            self._asked_at = now
            self._asked = frozenset(partitions)
            self._ask(partitions)

    @property
    def client(self) -> AdminClient:
        """What asks now; another one after a loss of all brokers, or where leaders have moved."""
        return self._admin

    def last_stable(self) -> Mapping[TopicPartition, int]:
        """The newest answers, also for partitions that were asked for long ago."""
        return self._known[IsolationLevel.READ_COMMITTED]

    def high_watermarks(self) -> Mapping[TopicPartition, int]:
        """The same of the other end; no lower than the last stable offset."""
        stable = self.last_stable()
        high = self._known[IsolationLevel.READ_UNCOMMITTED]
        # Two questions are answered at two moments, between which a transaction may end.
        return {one: max(offset, stable.get(one, 0)) for one, offset in high.items()}

    def _renew(self, now: float) -> None:
        # Others ask by it too.
        self._retired.append((self._admin, now))
        self._watch = ClientWatch()
        self._admin = self._make(self._watch)
        self._is_misled, self._renew_at, self._asked_at = False, now + self.RENEW_S, None

    def _ask(self, partitions: Collection[TopicPartition]) -> None:
        # The last stable offset first: by the answer for the other it can only have risen.
        for level in _LEVELS:
            answers = self._admin.list_offsets(
                {
                    confluent_kafka.TopicPartition(one.topic, one.partition): OffsetSpec.latest()
                    for one in partitions
                },
                isolation_level=level,
                request_timeout=self.REQUEST_TIMEOUT_S,
            )
            for one, answer in answers.items():
                self._pending[level, TopicPartition(one.topic, one.partition)] = answer

    def _take(self, level: IsolationLevel, partition: TopicPartition, answer: Future[Any]) -> None:
        try:
            self._known[level][partition] = offset_of(answer.result())
        except KafkaException as failed:
            self._is_misled |= error_of(failed).code() in LEADER_MOVED
            _log.debug("the end of %s is not known: %s", partition, failed)
