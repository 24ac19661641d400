"""Restarts: moves partitions that cannot be read on from where they stood."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from confluent_kafka import OFFSET_BEGINNING, KafkaException

from consumer.contracts.choices import JumpReason
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.member import Member
from consumer.kafka.source.outside import Outside
from consumer.kafka.source.rebalance import Listener, client_partitions
from consumer.kafka.source.starts import Starts
from consumer.settings.schema import Settings

#: Seconds for a leader to say where its partition begins and ends, and to the next try.
_ANSWER_S, _RETRY_S = 1.0, 0.5

_SAID: Mapping[JumpReason, str] = {
    JumpReason.REMOVED: "what stood there was removed before it was read, by retention or "
    "DeleteRecords",
    JumpReason.CUT: "its log was cut, as by the election of a leader that did not have all of it, "
    "or it never reached so far",
}

_log = logging.getLogger(__name__)


class Restarts:
    """Moves partitions to where they can be read, and says so. Owned by the poll thread.

    Args:
        settings: `auto_offset_reset`, and the group for what an error says.
        assigned: the partitions.
        starts: fixes where a topic that was made again begins.
    """

    def __init__(self, settings: Settings, assigned: AssignedPartitions, starts: Starts) -> None:
        self._settings = settings
        self._assigned = assigned
        self._starts = starts
        self._retry_at = 0.0

    def begin_anew(
        self, member: Member, listener: Listener, ids: Mapping[TopicPartition, str]
    ) -> None:
        """Read these partitions from their beginning: their topics were made again, under these
        ids.

        What is in flight belongs to topics that are gone, and cannot be read again. Nothing of it
        may be committed, since an open transaction may hold messages of the new topic as well.

        Raises:
            KafkaProblem: `auto_offset_reset` is `error`.
        """
        if not ids:
            return
        reads = self._assigned.read_offsets()
        for one in ids:
            where = f"{one.topic} [{one.partition}]"
            said = f"{where} was deleted and made again"
            if reads.get(one):
                said += f" after it was read to offset {reads[one]}"
            self._refuse(said, JumpReason.RECREATED)
            _log.warning("%s; it is read from its beginning", said)
        self._starts.begin_anew(ids)
        member.rebalance.renew(member.consumer, dict.fromkeys(ids, OFFSET_BEGINNING))
        for one, topic_id in ids.items():
            self._assigned.passed(one, 0)
            self._assigned.vouch(one, topic_id)
            listener.on_jumped(JumpReason.RECREATED, 0)

    def go_on(self, member: Member, listener: Listener) -> None:
        """Read on in partitions whose logs do not reach to where they are to be read.

        Raises:
            KafkaProblem: `auto_offset_reset` is `error`.
        """
        if time.monotonic() < self._retry_at:
            return
        numbers, put_off = self._assigned.numbers(), self._assigned.put_off()
        for partition, found in list(member.intake.outside.items()):
            back = put_off.get(partition, (None,))[0]
            if back is not None and (found.cut is None or back <= found.cut):
                # It is read from there in any case; the client has stopped, and refuses to seek.
                member.rebalance.place(member.consumer, {partition: back})
                self._assigned.rewound(partition)
            elif (back is not None or numbers.get(partition) == found.number) and not self._settle(
                member, listener, partition, found
            ):
                self._retry_at = time.monotonic() + _RETRY_S
                return
            del member.intake.outside[partition]

    def _settle(
        self, member: Member, listener: Listener, partition: TopicPartition, found: Outside
    ) -> bool:
        """Move one partition. Returns whether that is done; the brokers may not have answered."""
        where = f"{partition.topic} [{partition.partition}]"
        _log.debug("%s: reading has stopped: %s", where, found.error.str())
        (asked,) = client_partitions([partition])
        try:
            position = self._stands(member, partition, found)
            if position is not None:
                low, high = member.consumer.get_watermark_offsets(asked, timeout=_ANSWER_S)
        except KafkaException as failed:
            _log.warning("%s: where it begins and ends is not known yet: %s", where, failed)
            return False
        if position is None:
            self._refuse(
                f"{where} cannot be read from where group {self._settings.group_id} "
                f"stands ({found.error.str().strip()})",
                JumpReason.RECREATED,
            )
            # A new group has committed its start (see `Starts`); that offset is gone since.
            member.rebalance.place(member.consumer, {partition: OFFSET_BEGINNING})
            self._assigned.passed(partition, 0)
            return True
        start, reason = found.goes_on(position, low, high)
        if reason is None:
            member.rebalance.place(member.consumer, {partition: start})
            return True
        stands = (
            f"{where} cannot be read from offset {position}, where group "
            f"{self._settings.group_id} stands: it now has {low} to {high}; {_SAID[reason]}"
        )
        self._refuse(stands, reason)
        _log.warning("%s; it is read on from offset %d", stands, start)
        if start < position:
            # Offsets that were resolved come again, with other messages.
            topic_id = self._assigned.topic_ids().get(partition)
            member.rebalance.renew(member.consumer, {partition: start})
            self._assigned.vouch(partition, topic_id)
        else:
            member.rebalance.place(member.consumer, {partition: start})
        # What stands behind the end of a bounded run is no part of it.
        last = min(start, self._assigned.ends.get(partition, start))
        self._assigned.passed(partition, last)
        if last > position:
            self._starts.removed(partition, position, last)
        listener.on_jumped(reason, max(last - position, 0))
        return True

    def _stands(self, member: Member, partition: TopicPartition, found: Outside) -> int | None:
        """The offset at which a partition is to be read now; None where there is none.

        The client's word comes last. It may be about a position that this assignment never had: of
        an earlier topic of that name, say. To believe that would pass over messages.

        Raises:
            KafkaException: the group's offset is not known; a transaction may hold it.
        """
        if (read := self._assigned.read_offsets().get(partition)) is not None:
            return read
        (answer,) = member.consumer.committed(client_partitions([partition]), _ANSWER_S)
        if answer.error is not None:
            raise KafkaException(answer.error)
        return answer.offset if answer.offset >= 0 else found.position

    def _refuse(self, what: str, reason: JumpReason) -> None:
        if (remedy := self._starts.remedy(reason)) is not None:
            raise KafkaProblem(f"{what}; {remedy}")
