"""BoundedReader: reads a topic from one point to another, for people; joins no group."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumer.contracts.cluster import Bounds
from consumer.contracts.messages import RawMessage
from consumer.kafka.client import (
    ASKING_PROPERTIES,
    OPEN_TIMEOUT_S,
    ClientWatch,
    answered,
    await_topics,
    make_client,
)
from consumer.kafka.closing import Closing
from consumer.kafka.errors import UNKNOWN_TOPIC, offset_of, problem
from consumer.kafka.messages import raw_message
from consumer.kafka.security.access import may_write
from consumer.kafka.source.properties import (
    FETCH_BYTES,
    FETCH_MAX_BYTES,
    PREFETCH_KIB,
    PREFETCH_MESSAGES,
)
from consumer.settings.schema import Settings

#: The group that the client asks for; it is never joined, and nothing is committed to it.
_GROUP = "nerstream-reader"

_log = logging.getLogger(__name__)


class BoundedReader(Closing):
    """Reads partitions of one topic under `read_committed`, up to ends that are given. Holds some
    20 MiB of messages. Not for several threads.

    Args:
        settings: how to reach the brokers.
        topic: it must exist; it is never created.
        named_by: the setting that names it, for errors.

    Raises:
        KafkaProblem: no broker answers, the topic is missing, access is denied.
        SettingsError: a librdkafka property is wrong.
    """

    def __init__(self, settings: Settings, topic: str, named_by: str) -> None:
        self._settings = settings
        self._topic = topic
        self._watch = ClientWatch()
        self._ends: dict[int, int] = {}
        #: Of each partition that is not read to its end: the next offset.
        self._places: dict[int, int] = {}
        self._paused: set[int] = set()
        no_creation = {"allow.auto.create.topics": False}
        self._admin_watch = ClientWatch()
        self._admin: AdminClient = make_client(
            AdminClient, settings, self._admin_watch, ASKING_PROPERTIES, no_creation
        )
        self._consumer: Consumer = make_client(
            Consumer,
            settings,
            self._watch,
            {
                "queued.max.messages.kbytes": PREFETCH_KIB,
                "queued.min.messages": PREFETCH_MESSAGES,
                "max.partition.fetch.bytes": FETCH_BYTES,
                "fetch.max.bytes": FETCH_MAX_BYTES,
                "fetch.wait.max.ms": 100,
            },
            {
                "group.id": _GROUP,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                # What was removed meanwhile cannot be read; reading goes on behind it.
                "auto.offset.reset": "earliest",
                **no_creation,
            },
        )
        try:
            await_topics(self._consumer, self._watch, settings, {topic: named_by})
        except BaseException:
            self._consumer.close()
            raise

    def cluster_id(self) -> str:
        """The cluster's id; empty where the brokers tell none."""
        return str(self._metadata(self._topic).cluster_id or "")

    def partition_count(self, topic: str) -> int | None:
        """Partitions of a topic, 0 where there is none of this name, None where this user may not
        see it or write to it; it is not created.

        Raises:
            KafkaProblem: no broker answers, or access to them is denied.
        """
        found = self._metadata(topic).topics.get(topic)
        error = None if found is None else found.error
        if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return None
        count = len(self._partitions_of(topic, found))
        return count if not count or may_write(self._admin, topic) else None

    def bounds(self) -> Mapping[int, Bounds]:
        """What each partition of the topic holds now.

        Raises:
            KafkaProblem: no broker answers.
        """
        parts = sorted(self._partitions(self._topic))
        stable, high = IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED
        begins = self._offsets(parts, OffsetSpec.earliest(), high)
        stable_ends = self._offsets(parts, OffsetSpec.latest(), stable)
        # The last stable offset first: by the answer for the other it can only have risen.
        ends = self._offsets(parts, OffsetSpec.latest(), high)
        return {part: Bounds(begins[part], stable_ends[part], ends[part]) for part in parts}

    def start(self, spans: Mapping[int, tuple[int, int]]) -> None:
        """Read these partitions, each from an offset to another that is not included.

        What was being read before is let go.
        """
        self._ends = {part: end for part, (begin, end) in spans.items() if begin < end}
        self._places = {part: spans[part][0] for part in self._ends}
        wanted = [KafkaTopicPartition(self._topic, part, at) for part, at in self._places.items()]
        # A pause outlives the assignment. It is ended before, and never behind: where the client
        # takes up a partition in the same moment, it may throw away all that it reads from then on.
        if self._paused:
            self._consumer.resume([KafkaTopicPartition(self._topic, one) for one in self._paused])
            self._paused.clear()
        self._consumer.assign(wanted)

    @property
    def places(self) -> Mapping[int, int]:
        """Of each partition that is not read to its end: the next offset. Empty at the end."""
        return self._places

    @property
    def left(self) -> int:
        """Offsets that are still to be read, or to be passed over."""
        return sum(self._ends[part] - place for part, place in self._places.items())

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        """Take what has come; waits up to `timeout_s` for the first message, never for more.

        Raises:
            KafkaProblem: reading cannot go on.
        """
        if not self._places:
            return []
        # Callbacks of the client that asks run here as well.
        self._admin.poll(0)
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        taken = []
        for message in [first, *self._consumer.consume(max_messages - 1, 0)]:
            error = message.error()
            if error is None:
                if self._pass(message.partition(), message.offset(), message.offset() + 1):
                    taken.append(raw_message(message, 0))
            elif error.code() == KafkaError._PARTITION_EOF:
                # Behind markers of transactions and what they took back, too.
                self._pass(message.partition(), message.offset() - 1, message.offset())
            elif error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                # The client asks who coordinates the group, which nothing here needs.
                _log.debug("the group %s may not be used: %s", _GROUP, error.str())
            elif not error.retriable():
                raise problem(f"reading {self._topic} stopped", error)
        return taken

    def close(self) -> None:
        """Release the connections."""
        self._consumer.close()

    def _pass(self, part: int, offset: int, following: int) -> bool:
        """Note how far a partition was read; says whether the offset is within its bounds."""
        end = self._ends.get(part)
        if end is None or part not in self._places:
            return False
        if following >= end:
            del self._places[part]
            self._paused.add(part)
            self._consumer.pause([KafkaTopicPartition(self._topic, part)])
        else:
            self._places[part] = following
        return offset < end

    def _partitions(self, topic: str) -> Collection[int]:
        return self._partitions_of(topic, self._metadata(topic).topics.get(topic))

    def _partitions_of(self, topic: str, found: Any) -> Collection[int]:
        if found is None or (found.error is not None and found.error.code() in UNKNOWN_TOPIC):
            return ()
        if found.error is not None and not found.partitions:
            raise problem(f"the topic {topic} cannot be used", found.error)
        parts: Collection[int] = found.partitions
        return parts

    def _metadata(self, topic: str) -> Any:
        return answered(
            lambda left_s: self._admin.list_topics(topic, timeout=left_s),
            *(self._admin, self._admin_watch, self._settings, time.monotonic() + OPEN_TIMEOUT_S),
        )

    def _offsets(
        self, parts: Iterable[int], which: OffsetSpec, level: IsolationLevel
    ) -> dict[int, int]:
        asked = {KafkaTopicPartition(self._topic, part): which for part in parts}
        is_again = False

        def ask(left_s: float) -> dict[int, int]:
            nonlocal is_again
            if is_again:
                # By this the client learns who leads the partitions now.
                self._admin.list_topics(self._topic, timeout=left_s)
            is_again = True
            answers = self._admin.list_offsets(
                asked, isolation_level=level, request_timeout=max(left_s, 1.0)
            )
            return {one.partition: offset_of(found.result()) for one, found in answers.items()}

        return answered(
            ask,
            *(self._admin, self._admin_watch, self._settings, time.monotonic() + OPEN_TIMEOUT_S),
        )
