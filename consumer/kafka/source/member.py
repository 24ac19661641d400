"""Member: one consumer in the group, with all that goes when it is given up."""

from __future__ import annotations

import logging
import math
from typing import Any

from confluent_kafka import Consumer

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.bounded import Hung, bounded
from consumer.kafka.client import STATISTICS_MS, ClientWatch, make_client
from consumer.kafka.dependent_properties import Properties
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.commits import Commit, Commits
from consumer.kafka.source.intake import Intake
from consumer.kafka.source.properties import consumer_properties
from consumer.kafka.source.rebalance import Listener, Rebalance
from consumer.kafka.source.starts import Starts
from consumer.settings.schema import Settings

#: Seconds for a consumer without brokers to close; it has nobody to take leave of.
_CLOSE_S = 5.0

#: The client's own thread counts as hung where so many reports in a row did not come while the
#: client was polled.
_REPORTS_MISSED = 10

_log = logging.getLogger(__name__)


class Member:
    """A consumer, its errors, what it gives out, and its callbacks. Owned by the poll thread.

    Args:
        settings: the brokers, the topics, the group.
        assigned: kept up to date.
        listener: hears of every change of the partitions.
        starts: fixes the first position in each partition.
        paused: whether reading is paused.

    Attributes:
        consumer: the client.
        watch: of its errors.
        intake: tells its messages from its events.
        rebalance: its callbacks.
    """

    def __init__(
        self,
        settings: Settings,
        assigned: AssignedPartitions,
        listener: Listener,
        starts: Starts,
        paused: bool = False,
    ) -> None:
        self._commits = Commits()
        self._reports = 0
        self._silent_s = 0.0
        #: Whether the client's own thread hangs, so that it cannot be closed.
        self.is_hung = False
        self.watch = ClientWatch()
        self.intake = Intake(assigned, self.watch)
        self.rebalance = Rebalance(starts.fix, assigned, listener, starts.reads)
        self.rebalance.paused = paused
        defaults, required = consumer_properties(settings)
        required = {**required, "on_commit": self._commits.answered}
        self.consumer: Any = make_client(Consumer, settings, self.watch, defaults, required)
        passed = Properties(settings.kafka, {})
        interval_s = passed.number("statistics.interval.ms", STATISTICS_MS) / 1000
        self._longest_silence_s = interval_s * _REPORTS_MISSED if interval_s else math.inf

    @property
    def is_lost(self) -> bool:
        """Whether this member and its group no longer hear of each other."""
        return self.watch.is_stranded

    def require_life(self, polled_s: float) -> None:
        """Check that the client still reports.

        Args:
            polled_s: seconds for which it was polled since the last call.

        Raises:
            KafkaProblem: the client's own thread hangs. librdkafka's has been seen to do so where
                it had forgotten its brokers; then neither sessions end nor errors come.
        """
        if self.watch.reports != self._reports:
            self._reports, self._silent_s = self.watch.reports, 0.0
        self._silent_s += polled_s
        if self._silent_s > self._longest_silence_s:
            self.is_hung = True
            raise KafkaProblem(
                "the consumer gives no sign of life; nothing in this process can mend that: start "
                "the worker again"
            )

    def subscribe(self, topics: list[str]) -> None:
        """Ask for partitions of these topics, and of no others."""
        if not topics:
            self.consumer.unsubscribe()
            return
        self.consumer.subscribe(
            topics,
            on_assign=self.rebalance.on_assign,
            on_revoke=self.rebalance.on_revoke,
            on_lost=self.rebalance.on_lost,
        )

    def commit(self, offsets: list[Any]) -> Commit:
        """Begin a commit; its answer comes while this member is polled, or at `insist`.

        Raises:
            KafkaException: as the client says.
        """
        return self._commits.begin(self.consumer, offsets)

    @property
    def awaits_answers(self) -> bool:
        """Whether commits are under way."""
        return self._commits.any

    def insist(self) -> None:
        """Have the commits that are under way answered now; for a callback, where nobody polls."""
        self._commits.insist(self.consumer)

    def leave(self) -> None:
        """Close the consumer, which leaves the group."""
        self.consumer.close()
        self._commits.give_up()

    def retire(self) -> None:
        """Give up a lost member and its partitions. It cannot say that it leaves, so the group
        notices by the session timeout."""
        self.rebalance.retire()
        self._commits.give_up()
        try:
            bounded(self.consumer.close, _CLOSE_S)
        except Hung:
            # One with a commit under way waits for its answer, until that request is given up.
            _log.warning("the consumer does not close; it is left behind")
