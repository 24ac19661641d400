"""The input topics."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Protocol

import confluent_kafka
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consumer.articles import Position, RawMessage, TopicPartition
from consumer.errors import AbortableError, KafkaProblem
from consumer.kafka.clients import ErrorWatch, await_topics, make_client
from consumer.kafka.end_offsets import EndOffsets
from consumer.kafka.problems import PERMANENT, error_of, problem
from consumer.kafka.source_properties import consumer_properties, is_pattern
from consumer.settings import Settings

_log = logging.getLogger(__name__)

#: Longest wait, in seconds, for the group to take the partitions back on `close`.
_LEAVE_TIMEOUT_S = 10.0

#: Longest wait, in seconds, for a rewind that the client puts off; it takes milliseconds.
_REWIND_TIMEOUT_S = 30.0

#: A topic that the client reports missing is looked for again after so many seconds: brokers
#: that have just started know nothing of their topics for a moment.
_MISSING_TOPIC_GRACE_S = 5.0

#: Metadata errors of a subscribed topic.
_MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)


class Listener(Protocol):
    """`consumer.pipeline.protocols.RebalanceListener`, as seen from here."""

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None: ...


class KafkaSource:
    """`consumer.pipeline.protocols.Source` on Kafka; its docstrings are the contract.

    Every assignment of a partition and every rewind has a number of its own. A message carries
    the number that its partition has when the client hands it out; callbacks run between two
    messages, never beside one, so a message from before cannot carry a number from after.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch = ErrorWatch()
        self._consumer: Any = None
        # Held for every use from another thread, so that `close` cannot pull the consumer away.
        self._in_use = threading.Lock()
        self._listener: Listener | None = None
        self._ends: EndOffsets | None = None
        self._paused = False
        self._next_number = count(1)
        self._numbers: dict[TopicPartition, int] = {}
        self._read: dict[TopicPartition, int] = {}
        # Rewinds that the client has put off, with the time at which that began.
        self._put_off: dict[TopicPartition, tuple[int, float]] = {}
        self._recheck_topics_at: float | None = None

    def open(self, listener: Listener) -> None:
        settings = self._settings
        self._listener = listener
        defaults, required = consumer_properties(settings)
        self._consumer = make_client(Consumer, settings, self._watch, defaults, required)
        admin = make_client(AdminClient, settings, ErrorWatch(), {}, {})
        self._ends = EndOffsets(admin)
        self._await_topics()
        self._consumer.subscribe(
            list(settings.input_topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        deadline = time.monotonic() + timeout_s
        self._rewind_what_was_put_off()
        self._recheck_topics()
        if self._ends is not None:
            self._ends.refresh(self._numbers.keys())
        taken: list[RawMessage] = []
        while len(taken) < max_messages:
            # One call a message, not one a batch: a rebalance can then only happen between two
            # messages, and each gets the number that it was read under.
            wait_s = 0.0 if taken else max(deadline - time.monotonic(), 0.0)
            message = self._consumer.poll(wait_s)
            if self._watch.fatal is not None:
                raise problem("the consumer cannot go on", self._watch.fatal)
            if message is None:
                break
            if (error := message.error()) is not None:
                self._heed(message, error)
            elif (raw := self._raw(message)) is not None:
                taken.append(raw)
        # A partition may have gone since its message was taken, a few lines above.
        return [raw for raw in taken if self._is_current(raw)]

    def pause(self) -> None:
        self._paused = True
        self._set_paused(list(self._numbers))

    def resume(self) -> None:
        self._paused = False
        if self._numbers:
            self._consumer.resume([_client_partition(one) for one in self._numbers])

    def rewind(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        now = time.monotonic()
        numbers = {}
        for partition, offset in offsets.items():
            if partition in self._numbers:
                numbers[partition] = self._numbers[partition] = next(self._next_number)
                self._read[partition] = offset
                self._put_off[partition] = (offset, now)
        self._rewind_what_was_put_off()
        return numbers

    def assignments(self) -> Mapping[TopicPartition, int]:
        """As the protocol says; any thread may call it."""
        return dict(self._numbers)

    def group_metadata(self) -> object:
        with self._in_use:
            if self._consumer is None:
                raise AbortableError("the source is closed, so nothing can be committed any more")
            return self._consumer.consumer_group_metadata()

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets outside of a transaction. Any thread; blocks until the answer.

        Raises:
            KafkaException: as the client says, for the sink to judge.
            AbortableError: the source is closed.
        """
        asked = [_client_partition(one, offset) for one, offset in offsets.items()]
        with self._in_use:
            if self._consumer is None:
                raise AbortableError("the source is closed, so nothing can be committed any more")
            for answer in self._consumer.commit(offsets=asked, asynchronous=False):
                if answer.error is not None:
                    raise KafkaException(answer.error)

    def end_offsets(self) -> Mapping[TopicPartition, int]:
        asked = self._ends.known() if self._ends is not None else {}
        # Reading may be ahead of the last answer; what was read has an end at least there.
        return {
            one: max(asked.get(one, -1), self._read.get(one, -1))
            for one in self._numbers
            if one in asked or one in self._read
        }

    def read_offsets(self) -> Mapping[TopicPartition, int]:
        return {one: self._read[one] for one in self._numbers if one in self._read}

    def close(self) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        # The callbacks of leaving run here, while a last commit can still be made. A static
        # member keeps its partitions for its return, and leaves only by its session timeout.
        if "group.instance.id" not in self._settings.kafka and self._watch.fatal is None:
            consumer.unsubscribe()
            deadline = time.monotonic() + _LEAVE_TIMEOUT_S
            while self._numbers and time.monotonic() < deadline:
                consumer.poll(0.1)
        self._ends = None
        in_use = not self._in_use.acquire(timeout=_LEAVE_TIMEOUT_S)
        self._consumer = None
        if in_use:
            # Whoever still uses it holds the last reference, and releases it.
            _log.warning("the consumer is left to its last user: a commit does not come back")
            return
        self._in_use.release()
        consumer.close()

    def _await_topics(self) -> None:
        names = [name for name in self._settings.input_topics if not is_pattern(name)]
        await_topics(
            self._consumer, self._watch, self._settings, dict.fromkeys(names, "input_topics")
        )

    def _recheck_topics(self) -> None:
        at = self._recheck_topics_at
        if at is not None and time.monotonic() >= at:
            self._recheck_topics_at = None
            self._await_topics()

    def _raw(self, message: Any) -> RawMessage | None:
        partition = TopicPartition(message.topic(), message.partition())
        number = self._numbers.get(partition)
        if number is None or partition in self._put_off:
            return None
        offset = message.offset()
        self._read[partition] = offset + 1
        kind, timestamp_ms = message.timestamp()
        return RawMessage(
            position=Position(partition, offset),
            key=message.key(),
            value=message.value(),
            headers=tuple(message.headers() or ()),
            timestamp_ms=None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
            assignment=number,
        )

    def _is_current(self, raw: RawMessage) -> bool:
        return self._numbers.get(raw.position.topic_partition) == raw.assignment

    def _heed(self, message: Any, error: KafkaError) -> None:
        """Decide what an event in the place of a message means."""
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            # Its offset stands after markers and aborted messages too, which no message shows.
            partition = TopicPartition(message.topic(), message.partition())
            if partition in self._numbers and partition not in self._put_off:
                self._read[partition] = message.offset()
        elif code == KafkaError._AUTO_OFFSET_RESET:
            raise KafkaProblem(
                f"{message.topic()} [{message.partition()}] cannot be read from where group "
                f"{self._settings.group_id} stands ({error.str().strip()}); set "
                "auto_offset_reset to earliest or latest, or move the group's offset"
            )
        elif code in _MISSING:
            if self._recheck_topics_at is None:
                self._recheck_topics_at = time.monotonic() + _MISSING_TOPIC_GRACE_S
        elif error.fatal() or code in PERMANENT:
            raise problem("the input topics cannot be read", error)
        else:
            # The client goes on by itself: connections, coordinators, a poll that came too late.
            _log.warning("reading goes on after: %s", error.str())

    def _rewind_what_was_put_off(self) -> None:
        for partition, (offset, since) in list(self._put_off.items()):
            try:
                self._consumer.seek(_client_partition(partition, offset))
            except KafkaException as failed:
                # A partition that has just been assigned is not ready yet; until it is, its
                # messages are dropped, since they are from before the rewind.
                if time.monotonic() - since > _REWIND_TIMEOUT_S:
                    doing = f"{partition.topic} [{partition.partition}] cannot be read again"
                    raise problem(f"{doing} from offset {offset}", error_of(failed)) from failed
            else:
                del self._put_off[partition]

    def _set_paused(self, partitions: Sequence[TopicPartition]) -> None:
        if partitions:
            self._consumer.pause([_client_partition(one) for one in partitions])

    def _on_assign(self, consumer: Any, assigned: Sequence[Any]) -> None:
        partitions = [TopicPartition(one.topic, one.partition) for one in assigned]
        written = {self._settings.output_topic, self._settings.dead_letter_topic}
        for topic in sorted(written & {one.topic for one in partitions}):
            raise KafkaProblem(
                f"a pattern in input_topics matches {topic}, which the worker writes to; "
                "narrow the pattern"
            )
        consumer.incremental_assign(assigned)
        for one in partitions:
            self._numbers[one] = next(self._next_number)
        # The client forgets that a partition was paused when it assigns it.
        if self._paused:
            self._set_paused(partitions)
        if self._listener is not None:
            self._listener.on_assigned(partitions)

    def _on_revoke(self, consumer: Any, revoked: Sequence[Any]) -> None:
        partitions = [TopicPartition(one.topic, one.partition) for one in revoked]
        try:
            if self._listener is not None:
                self._listener.on_revoked(partitions)
        finally:
            self._drop(partitions)
            consumer.incremental_unassign(revoked)

    def _on_lost(self, consumer: Any, lost: Sequence[Any]) -> None:
        partitions = [TopicPartition(one.topic, one.partition) for one in lost]
        self._drop(partitions)
        try:
            if self._listener is not None:
                self._listener.on_lost(partitions)
        finally:
            consumer.incremental_unassign(lost)

    def _drop(self, partitions: Sequence[TopicPartition]) -> None:
        for one in partitions:
            self._numbers.pop(one, None)
            self._read.pop(one, None)
            self._put_off.pop(one, None)


def _client_partition(one: TopicPartition, offset: int | None = None) -> Any:
    if offset is None:
        return confluent_kafka.TopicPartition(one.topic, one.partition)
    return confluent_kafka.TopicPartition(one.topic, one.partition, offset)
