"""The input topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from consumer.articles import RawMessage, TopicPartition
from consumer.errors import KafkaProblem
from consumer.kafka.assigned import AssignedPartitions
from consumer.kafka.clients import ErrorWatch, await_topics, make_client
from consumer.kafka.end_offsets import EndOffsets
from consumer.kafka.errands import Errands
from consumer.kafka.messages import raw_message
from consumer.kafka.problems import PERMANENT, UNKNOWN_TOPIC, error_of, problem
from consumer.kafka.rebalance import Listener, Rebalance, client_offsets, client_partitions
from consumer.kafka.source_properties import consumer_properties, is_pattern
from consumer.settings import Settings

_log = logging.getLogger(__name__)

#: Longest wait, in seconds, for the group to take the partitions back on `close`.
_LEAVE_TIMEOUT_S = 10.0

#: Longest wait, in seconds, for a rewind that the client puts off; it takes milliseconds.
_REWIND_TIMEOUT_S = 30.0

#: A topic that the client reports missing is looked for again after so many seconds: brokers
#: that have just started know nothing of their topics for a moment.
_UNKNOWN_TOPIC_GRACE_S = 5.0

#: Longest stay, in seconds, in the client while other threads may wait for a call.
_SLICE_S = 0.005


class KafkaSource:
    """`consumer.pipeline.protocols.Source` on Kafka; its docstrings are the contract.

    A message carries the number that its partition has when the client hands it out. Callbacks
    run between two messages, never beside one, so a message from before a rebalance or a rewind
    cannot carry a number from after.

    Args:
        settings: the brokers, the topics, the group.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch = ErrorWatch()
        self._consumer: Any = None
        self._errands = Errands()
        self._ends: EndOffsets | None = None
        self._assigned = AssignedPartitions()
        self._rebalance: Rebalance | None = None
        self._recheck_topics_at: float | None = None

    def open(self, listener: Listener) -> None:
        settings = self._settings
        self._errands.own()
        defaults, required = consumer_properties(settings)
        self._consumer = make_client(Consumer, settings, self._watch, defaults, required)
        self._ends = EndOffsets(make_client(AdminClient, settings, ErrorWatch(), {}, {}))
        self._await_topics()
        rebalance = self._rebalance = Rebalance(settings, self._assigned, listener)
        self._consumer.subscribe(
            list(settings.input_topics),
            on_assign=rebalance.on_assign,
            on_revoke=rebalance.on_revoke,
            on_lost=rebalance.on_lost,
        )

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        deadline = time.monotonic() + timeout_s
        self._rewind_what_was_put_off()
        self._recheck_topics()
        if self._ends is not None:
            self._ends.refresh(self._assigned.numbers())
        taken: list[RawMessage] = []
        while len(taken) < max_messages:
            self._errands.serve()
            # One call a message, not one a batch: a rebalance can then only happen between two
            # messages, and each gets the number that it was read under.
            left_s = 0.0 if taken else max(deadline - time.monotonic(), 0.0)
            message = self._next(min(left_s, _SLICE_S))
            if message is None:
                if left_s > _SLICE_S:
                    continue
                break
            if (error := message.error()) is not None:
                self._heed(message, error)
            elif (raw := self._raw(message)) is not None:
                taken.append(raw)
        # A partition may have gone since its message was taken, a few lines above.
        return [raw for raw in taken if self._assigned.is_current(raw)]

    def pause(self) -> None:
        self._set_paused(True)

    def resume(self) -> None:
        self._set_paused(False)

    def rewind(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        now = time.monotonic()
        asked = {one: self._assigned.rewind(one, offset, now) for one, offset in offsets.items()}
        self._rewind_what_was_put_off()
        return {one: number for one, number in asked.items() if number is not None}

    def assignments(self) -> Mapping[TopicPartition, int]:
        """As the protocol says; any thread may call it."""
        return self._assigned.numbers()

    def serve(self) -> None:
        """As the protocol says."""
        self._errands.serve()

    def group_metadata(self) -> object:
        return self._errands.run(lambda: self._consumer.consumer_group_metadata())

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets outside of a transaction. Any thread; blocks until the answer.

        Raises:
            KafkaException: as the client says, for the sink to judge.
            AbortableError: the source is closed.
        """
        asked = client_offsets(offsets)
        answers = self._errands.run(
            lambda: self._consumer.commit(offsets=asked, asynchronous=False)
        )
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)

    def end_offsets(self) -> Mapping[TopicPartition, int]:
        return self._assigned.end_offsets(self._ends.known() if self._ends is not None else {})

    def read_offsets(self) -> Mapping[TopicPartition, int]:
        return self._assigned.read_offsets()

    def close(self) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        # The callbacks of leaving run here, while a last commit can still be made. A static
        # member keeps its partitions for its return, and leaves only by its session timeout.
        if "group.instance.id" not in self._settings.kafka and self._watch.fatal is None:
            consumer.unsubscribe()
            deadline = time.monotonic() + _LEAVE_TIMEOUT_S
            while self._assigned.numbers() and time.monotonic() < deadline:
                consumer.poll(0.05)
        self._errands.close()
        self._ends = None
        self._consumer = None
        consumer.close()

    def _set_paused(self, paused: bool) -> None:
        if self._rebalance is None or self._rebalance.paused == paused:
            return
        self._rebalance.paused = paused
        if asked := client_partitions(self._assigned.numbers()):
            (self._consumer.pause if paused else self._consumer.resume)(asked)

    def _await_topics(self) -> None:
        names = [name for name in self._settings.input_topics if not is_pattern(name)]
        topics = dict.fromkeys(names, "input_topics")
        await_topics(self._consumer, self._watch, self._settings, topics)

    def _recheck_topics(self) -> None:
        at = self._recheck_topics_at
        if at is not None and time.monotonic() >= at:
            self._recheck_topics_at = None
            self._await_topics()

    def _next(self, wait_s: float) -> Any:
        """The next message or event of the client, after the callbacks that are due."""
        try:
            return self._consumer.poll(wait_s)
        except KafkaException as failed:
            raise self._over(error_of(failed)) from failed

    def _raw(self, message: Any) -> RawMessage | None:
        partition = TopicPartition(message.topic(), message.partition())
        number = self._assigned.number(partition)
        if number is None:
            return None
        self._assigned.passed(partition, message.offset() + 1)
        return raw_message(message, number)

    def _heed(self, message: Any, error: KafkaError) -> None:
        """Decide what an event in the place of a message means."""
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            # Its offset stands after markers and aborted messages too, which no message shows.
            partition = TopicPartition(message.topic(), message.partition())
            self._assigned.passed(partition, message.offset())
        elif code == KafkaError._AUTO_OFFSET_RESET:
            raise KafkaProblem(
                f"{message.topic()} [{message.partition()}] cannot be read from where group "
                f"{self._settings.group_id} stands ({error.str().strip()}); set "
                "auto_offset_reset to earliest or latest, or move the group's offset"
            )
        elif code in UNKNOWN_TOPIC:
            if self._recheck_topics_at is None:
                self._recheck_topics_at = time.monotonic() + _UNKNOWN_TOPIC_GRACE_S
        elif code == KafkaError._FATAL or error.fatal():
            raise self._over(error)
        elif code in PERMANENT:
            raise problem("the input topics cannot be read", error)
        else:
            # The client goes on by itself: connections, coordinators, a poll that came too late.
            _log.warning("reading goes on after: %s", error.str())

    def _over(self, error: KafkaError) -> KafkaProblem:
        """The error of a consumer that does nothing more; such a one need not leave its group."""
        self._watch.fatal = error
        said = error.str().lower()
        if "group.instance.id" in said or "instance id is still used" in said:
            # A fatal error names its cause in words only: the first is what the older of two
            # static members hears, the second what the newer one hears under KIP-848.
            error = KafkaError(KafkaError.FENCED_INSTANCE_ID, error.str())
        return problem("the consumer cannot go on", error)

    def _rewind_what_was_put_off(self) -> None:
        for partition, (offset, since) in self._assigned.put_off().items():
            try:
                self._consumer.seek(*client_offsets({partition: offset}))
            except KafkaException as failed:
                # A partition that has just been assigned is not ready for it yet.
                if time.monotonic() - since > _REWIND_TIMEOUT_S:
                    doing = f"{partition.topic} [{partition.partition}] cannot be read again"
                    raise problem(f"{doing} from offset {offset}", error_of(failed)) from failed
            else:
                self._assigned.rewound(partition)
