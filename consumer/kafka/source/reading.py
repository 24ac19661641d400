"""Reading: takes the messages of one member, and tells its client of rewinds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException

from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.errors import error_of, problem, raised_by
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.member import Member
from consumer.kafka.source.owner_calls import OwnerCalls
from consumer.kafka.source.rebalance import client_offsets, client_partitions

#: Longest wait, in seconds, for a rewind that the client puts off; it takes milliseconds.
_REWIND_TIMEOUT_S = 30.0

#: Longest stay, in seconds, in the client while other threads may wait for a call.
_SLICE_S = 0.005

_log = logging.getLogger(__name__)


class Reading:
    """Takes from a member what may be delivered. Owned by the poll thread.

    Attributes:
        member: whose client is polled.

    Args:
        assigned: which messages may be delivered.
        owner_calls: made while messages are waited for.
    """

    def __init__(
        self, member: Member, assigned: AssignedPartitions, owner_calls: OwnerCalls
    ) -> None:
        self.member = member
        self._assigned = assigned
        self._owner_calls = owner_calls
        # Taken while answers to commits were waited for.
        self._early: list[RawMessage] = []

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        """As `Source.poll`, without what a source does beside."""
        deadline = time.monotonic() + timeout_s
        changes = self._assigned.changes
        taken = [raw for raw in self._early if self._assigned.is_current(raw)]
        self._early.clear()
        while not taken:
            self._owner_calls.serve()
            left_s = max(deadline - time.monotonic(), 0.0)
            event = self.called(self.member.consumer.poll, min(left_s, _SLICE_S))
            if event is not None:
                self.member.intake.sort([event], taken)
            elif left_s <= _SLICE_S:
                return []
        if max_messages > 1:
            self._take_ready(max_messages - 1, taken)
        if self.member.intake.over:
            self._hold()
        if self.member.rebalance.paused:
            came = {raw.position.topic_partition for raw in taken}
            self.member.rebalance.pause_again(self.member.consumer, came)
        if changes == self._assigned.changes:
            return taken
        # A partition may have gone since its message was taken, a few lines above.
        return [raw for raw in taken if self._assigned.is_current(raw)]

    @property
    def early(self) -> frozenset[TopicPartition]:
        """Partitions whose newest messages were taken, and not given out yet."""
        return frozenset(raw.position.topic_partition for raw in self._early)

    def hear(self) -> None:
        """Let answers to commits come in; a message that comes instead is kept for `poll`."""
        if self.member.rebalance.is_running:
            self.member.insist()
        elif (event := self.called(self.member.consumer.poll, 0)) is not None:
            self.member.intake.sort([event], self._early)

    def rewind(self) -> None:
        """Tell the client of the rewinds that it has not been told of; it may put them off.

        Raises:
            KafkaProblem: it has put one off for too long.
        """
        epochs = self._assigned.epochs()
        for partition, (offset, since) in self._assigned.put_off().items():
            try:
                self.member.consumer.seek(*client_offsets({partition: offset}, epochs))
            except KafkaException as failed:
                # A partition that has just been assigned is not ready for it yet.
                if time.monotonic() - since > _REWIND_TIMEOUT_S:
                    doing = f"{partition.topic} [{partition.partition}] cannot be read again"
                    raise problem(f"{doing} from offset {offset}", error_of(failed)) from failed
            else:
                self._assigned.rewound(partition)
                if self.member.intake.held and not self.member.rebalance.paused:
                    self.member.consumer.resume(client_partitions([partition]))

    def _hold(self) -> None:
        """Fetch no more of partitions whose end is passed; their rewind lets them go on."""
        intake = self.member.intake
        current = self._assigned.numbers()
        self.member.consumer.pause(client_partitions(intake.over & current.keys()))
        intake.held |= intake.over
        intake.over.clear()

    def _take_ready(self, limit: int, taken: list[RawMessage]) -> None:
        """Take what the client holds ready, in one call. One call for each message would cost more
        than all else that is done with it.

        A rebalance may come anywhere in that call. A partition that it takes away is not delivered;
        one that it brings is, under its number. Where a partition went and came back within the
        call, nobody can say which messages are from before. It is read anew.
        """
        before, changes = self._assigned.numbers(), self._assigned.changes
        events = self.called(self.member.consumer.consume, limit, 0)
        if self._assigned.changes - changes > 1:
            after = self._assigned.numbers()
            unclear = [one for one, number in after.items() if before.get(one) != number]
            events = [one for one in events if (one.topic(), one.partition()) not in unclear]
            _log.warning("read anew after two rebalances at once: %s", ", ".join(map(str, unclear)))
            self.member.rebalance.renew(self.member.consumer, unclear)
        self.member.intake.sort(events, taken)

    def called(self, call: Callable[..., Any], *arguments: float) -> Any:
        """What a call of the client gives, after the callbacks that are due."""
        try:
            return call(*arguments)
        except (KafkaException, SystemError) as failed:
            raise self.member.intake.ended(error_of(raised_by(failed))) from failed
