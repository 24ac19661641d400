"""Starts: decides where reading begins in a partition without a committed offset."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException

from consumer.contracts.choices import JumpReason, OffsetReset
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.client import ClientWatch, make_client, passing
from consumer.kafka.errors import ABSENT
from consumer.kafka.security.access import group_refusal
from consumer.kafka.source.properties import consumer_properties
from consumer.kafka.source.stamps import stamped
from consumer.settings.schema import Settings

#: Longest wait, in seconds, for one answer during a rebalance, and before the group is joined.
_ANSWER_S, _LOOK_S = 5.0, 1.0

_log = logging.getLogger(__name__)


class Starts:
    """Fixes the first position in a partition by a commit, before anything of it is read.

    Otherwise the next worker could pass over what was written between this worker's first look and
    its first commit. Owned by the poll thread.

    An entry of `input_topics` is a topic, or all topics that match a pattern. Where the group has
    no offset at all for an entry, it begins there as `auto_offset_reset` says. Where it has one, a
    partition without an offset is new, and is read from its beginning.

    Args:
        settings: the group, `auto_offset_reset`.

    Attributes:
        topic_ids: gives the ids that these topics have now, by name, where they are known.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topic_ids: Callable[[Collection[str]], Mapping[str, str]] = lambda _: {}
        # Partitions for which the group has an offset.
        self._known: set[TopicPartition] = set()
        # Partitions that were there when this worker came, of entries with which the group had not
        # begun; with the ids of their topics at that moment, where known.
        self._present: dict[TopicPartition, str | None] = {}

    def look(
        self, entries: Iterable[Collection[TopicPartition]], client: Any, watch: ClientWatch
    ) -> bool:
        """Find out, before the group is joined, with which entries it has begun; blocks for a
        second or two.

        Args:
            entries: the partitions of each entry of `input_topics`.
            client: hears why no broker answers.
            watch: its errors.

        Returns:
            Whether it could be found out; a group without a coordinator says nothing.

        Raises:
            KafkaProblem: access is denied.
        """
        entries = list(entries)
        asked = sorted({one for partitions in entries for one in partitions})
        if not asked:
            return True
        ids: Mapping[str, str] = {}
        if self._settings.auto_offset_reset is OffsetReset.LATEST:
            # Before the offsets: those of a topic go with it.
            ids = self.topic_ids({one.topic for one in asked})
        try:
            self._known |= self._committed(asked, _LOOK_S)
        except KafkaException as failed:
            error = passing(failed, client, watch, self._settings)
            _log.debug("the group's offsets are not known yet: %s", error)
            return False
        for partitions in entries:
            if self._known.isdisjoint(partitions):
                self._present.update({one: ids.get(one.topic) for one in partitions})
        return True

    def fix(self, consumer: Any, partitions: Sequence[TopicPartition]) -> None:
        """Commit the positions of those partitions, just assigned, for which there is none; blocks.

        Raises:
            KafkaException: one of them is not fixed; the same call again may help.
        """
        if self._settings.auto_offset_reset is OffsetReset.ERROR:
            return
        unknown = [one for one in partitions if one not in self._known]
        if not unknown:
            return
        self._known |= self._committed(unknown, _ANSWER_S)
        new = [one for one in unknown if one not in self._known]
        if not new:
            return
        ids = self.topic_ids({one.topic for one in new})
        starts = [self._start(one, ids.get(one.topic)) for one in new]
        answers = consumer.offsets_for_times(starts, timeout=_ANSWER_S)
        # A partition that is not there (any more) has no position. Should it come, the client
        # begins at its beginning.
        found = _whole([one for one in answers if not _is_absent(one)])
        if not found:
            return
        offsets = _offsets(found)
        passed = self._passed_over(consumer, [one for one in starts if one.offset == OFFSET_END])
        known = {one: ids[one.topic] for one in offsets if one.topic in ids}
        # In a rebalance callback the client is not polled, and has just heard from the group.
        _whole(consumer.commit(offsets=stamped(offsets, known, {}), asynchronous=False))
        for one, offset in offsets.items():
            self._known.add(one)
            _log.info("reading of %s [%s] begins at offset %s", one.topic, one.partition, offset)
            if passed.get(one, offset) < offset:
                _log.warning(
                    "%s [%s]: offsets %d to %d are passed over, since the group has none there and "
                    "auto_offset_reset is latest",
                    *(one.topic, one.partition, passed[one], offset - 1),
                )

    def _passed_over(self, consumer: Any, ends: Sequence[Any]) -> Mapping[TopicPartition, int]:
        """Where the partitions begin that are read from their end, as far as it is known."""
        asked = [
            confluent_kafka.TopicPartition(one.topic, one.partition, OFFSET_BEGINNING)
            for one in ends
        ]
        answers = consumer.offsets_for_times(asked, timeout=_ANSWER_S) if asked else ()
        return _offsets([one for one in answers if one.error is None])

    def reads(self, partition: TopicPartition) -> bool:
        """Whether a partition that is assigned is read."""
        del partition
        return True

    def remedy(self, reason: JumpReason) -> str | None:
        """What a person can do where reading must not move by itself, for this reason; None where
        it may."""
        del reason
        if self._settings.auto_offset_reset is OffsetReset.ERROR:
            return "set auto_offset_reset to earliest or latest, or move the group's offset"
        return None

    def removed(self, partition: TopicPartition, start: int, end: int) -> None:
        """Offsets from `start` to before `end` were gone before they were read."""
        del partition, start, end

    def begin_anew(self, partitions: Iterable[TopicPartition]) -> None:
        """The topics of these were made again. The group's offsets are of topics that are gone, so
        the new ones are read from their beginning."""
        self._known.difference_update(partitions)
        for one in partitions:
            self._present.pop(one, None)

    def _start(self, partition: TopicPartition, topic_id: str | None) -> Any:
        skips = (
            self._settings.auto_offset_reset is OffsetReset.LATEST
            and partition in self._present
            # A topic that was made again since is a new one, also where another worker had it.
            and self._present[partition] in (None, topic_id)
        )
        return confluent_kafka.TopicPartition(
            partition.topic, partition.partition, OFFSET_END if skips else OFFSET_BEGINNING
        )

    def _committed(
        self, partitions: Iterable[TopicPartition], timeout_s: float
    ) -> set[TopicPartition]:
        """For which of these the group has an offset.

        A client of its own asks. One that reads committed messages only gets no answer while a
        transaction holds any of the offsets, and that of a killed worker may do so for minutes.
        """
        defaults, required = consumer_properties(self._settings)
        required = {**required, "isolation.level": "read_uncommitted"}
        asked = [confluent_kafka.TopicPartition(*one) for one in partitions]
        with closing(
            make_client(Consumer, self._settings, ClientWatch(), defaults, required)
        ) as client:
            try:
                answers = _whole(client.committed(asked, timeout_s))
            except KafkaException:
                if why := group_refusal(client, self._settings):
                    raise KafkaProblem(why) from None
                raise
        return {TopicPartition(one.topic, one.partition) for one in answers if one.offset >= 0}


def _offsets(answers: Sequence[Any]) -> dict[TopicPartition, int]:
    return {TopicPartition(one.topic, one.partition): one.offset for one in answers}


def _is_absent(answer: Any) -> bool:
    return answer.error is not None and answer.error.code() in ABSENT


def _whole(answers: Sequence[Any]) -> Sequence[Any]:
    """The answers, none of them an error.

    Raises:
        KafkaException: one is.
    """
    for one in answers:
        if one.error is not None:
            raise KafkaException(one.error)
    return answers
