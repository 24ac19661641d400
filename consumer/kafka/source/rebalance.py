"""Rebalance: what happens when the group shares out its partitions anew."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import confluent_kafka
from confluent_kafka import KafkaException

from consumer.contracts.choices import JumpReason
from consumer.contracts.messages import TopicPartition
from consumer.kafka.errors import ABSENT, PERMANENT, error_of, problem
from consumer.kafka.source.assigned import AssignedPartitions

#: Errors that another try does not help against. A topic that is not known is not among them: it
#: was just created, or is being deleted, and then the group will hear of that.
_FOR_GOOD = PERMANENT - ABSENT

#: Seconds until partitions whose first position could not be fixed are tried again.
_AGAIN_S = 1.0

_log = logging.getLogger(__name__)

#: The epoch of a leader that is not known.
NO_EPOCH = -1


class Listener(Protocol):
    """`consumer.contracts.ports.RebalanceListener`, as seen from here."""

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_jumped(self, reason: JumpReason, missed: int) -> None: ...

    def on_rejoined(self) -> None: ...


class Rebalance:
    """The callbacks of a rebalance, which the client runs inside `poll` and `close`.

    Each callback tells the client what to assign and unassign. The moment matters: nothing of a
    partition may be delivered after the listener has heard of its revocation. An error of the
    listener comes out of `poll`.

    Args:
        fix: makes sure that each of these partitions has a committed position, or raises a
            KafkaException.
        assigned: kept up to date.
        listener: hears of every change.
        reads: whether an assigned partition is read, once its position is fixed. The listener
            hears nothing of the others, and none of their messages are delivered.
    """

    def __init__(
        self,
        fix: Callable[[Any, Sequence[TopicPartition]], None],
        assigned: AssignedPartitions,
        listener: Listener,
        reads: Callable[[TopicPartition], bool] = lambda _: True,
    ) -> None:
        self._fix = fix
        self._reads = reads
        self._assigned = assigned
        self._listener = listener
        # Assigned, but neither delivered nor told of: their first position is not fixed yet.
        self._unfixed: set[TopicPartition] = set()
        self._again_at = 0.0
        #: Whether reading is paused.
        self.paused = False
        #: Whether one of the callbacks runs.
        self.is_running = False
        self._retired = False

    def retire(self) -> None:
        """Give up the client and all its partitions. It may go on calling back; nobody listens."""
        self._retired = True
        self._unfixed.clear()
        partitions = list(self._assigned.numbers())
        self._assigned.drop(partitions)
        if partitions:
            self._listener.on_lost(partitions)

    def on_assign(self, consumer: Any, assigned: Sequence[Any]) -> None:
        """Partitions were added; they begin at the group's committed offsets."""
        if self._retired:
            return
        partitions = _ours(assigned)
        try:
            self._fix(consumer, partitions)
        except KafkaException as failed:
            self._put_off(partitions, failed)
            self._take(consumer, assigned)
            return
        self._take(consumer, assigned)
        partitions = [one for one in partitions if self._reads(one)]
        self._assigned.add(partitions)
        self._listener.on_assigned(partitions)

    def settle(self, consumer: Any) -> None:
        """When it is time, fix the positions that could not be fixed. Outside of the callbacks."""
        if self._unfixed and time.monotonic() >= self._again_at:
            partitions = client_partitions(sorted(self._unfixed))
            self._unfixed.clear()
            # Taken anew, they begin at the positions that are committed then.
            consumer.incremental_unassign(partitions)
            self.on_assign(consumer, partitions)

    def on_revoke(self, consumer: Any, revoked: Sequence[Any]) -> None:
        """Partitions are about to go; the listener may block to commit what is finished."""
        partitions = self._told(revoked)
        try:
            if not self._retired:
                self.is_running = True
                self._listener.on_revoked(partitions)
        finally:
            self.is_running = False
            if not self._retired:
                self._assigned.drop(partitions)
            consumer.incremental_unassign(revoked)

    def on_lost(self, consumer: Any, lost: Sequence[Any]) -> None:
        """Partitions went without notice."""
        partitions = self._told(lost)
        try:
            if not self._retired:
                self._assigned.drop(partitions)
                self._listener.on_lost(partitions)
        finally:
            consumer.incremental_unassign(lost)

    def renew(
        self, consumer: Any, partitions: Sequence[TopicPartition] | Mapping[TopicPartition, int]
    ) -> None:
        """Give partitions up and take them again. They begin at the offsets that are given, or else
        at the committed ones."""
        if not partitions:
            return
        self.on_lost(consumer, client_partitions(partitions))
        if isinstance(partitions, Mapping):
            self.on_assign(consumer, client_offsets(partitions))
        else:
            self.on_assign(consumer, client_partitions(partitions))

    def place(self, consumer: Any, offsets: Mapping[TopicPartition, int]) -> None:
        """Have the client read stopped partitions from these offsets on; it refuses to seek
        there."""
        consumer.incremental_unassign(client_partitions(offsets))
        self._take(consumer, client_offsets(offsets, self._assigned.epochs()))

    def pause_again(self, consumer: Any, partitions: Iterable[TopicPartition]) -> None:
        """Messages of these came although reading is paused: the client has lost their pause."""
        consumer.pause(client_partitions(partitions))

    def _take(self, consumer: Any, assigned: Sequence[Any]) -> None:
        """Have the client read these partitions, unless reading is paused.

        Pause or resume comes first. The client numbers a call before it queues it, and drops one
        that a later number has overtaken (librdkafka 2.16), so that a pause beside the start of
        reading may be lost. Resume is said too: the client keeps the pause of a partition that
        went while reading was paused.
        """
        if asked := client_partitions(_ours(assigned)):
            # A partition that the client does not know yet cannot be paused; this makes it known.
            consumer.position(asked)
            (consumer.pause if self.paused else consumer.resume)(asked)
        consumer.incremental_assign(assigned)

    def _put_off(self, partitions: Iterable[TopicPartition], failed: KafkaException) -> None:
        error = error_of(failed)
        if error.fatal() or error.code() in _FOR_GOOD:
            raise problem("the first positions cannot be committed", error) from failed
        _log.warning("the first positions are not committed yet: %s", error.str())
        self._unfixed.update(partitions)
        self._again_at = time.monotonic() + _AGAIN_S

    def _told(self, going: Iterable[Any]) -> list[TopicPartition]:
        """The partitions among these that the listener has heard of."""
        partitions = [one for one in _ours(going) if one not in self._unfixed and self._reads(one)]
        self._unfixed.difference_update(_ours(going))
        return partitions


def client_partitions(partitions: Iterable[TopicPartition]) -> list[Any]:
    """Our partitions as the client's."""
    return [confluent_kafka.TopicPartition(one.topic, one.partition) for one in partitions]


def client_offsets(
    offsets: Mapping[TopicPartition, int], epochs: Mapping[TopicPartition, int] | None = None
) -> list[Any]:
    """Our partitions with offsets as the client's.

    Args:
        epochs: of the leaders of what was read before these offsets. The client then asks the
            brokers whether the log is still that one.
    """
    return [
        confluent_kafka.TopicPartition(
            one.topic, one.partition, offset, "", (epochs or {}).get(one, NO_EPOCH)
        )
        for one, offset in offsets.items()
    ]


def _ours(partitions: Iterable[Any]) -> list[TopicPartition]:
    return [TopicPartition(one.topic, one.partition) for one in partitions]
