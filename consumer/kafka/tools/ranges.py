"""RangeReader: reads stretches of partitions as a `read_committed` reader, from start to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.client import ClientWatch, make_client
from consumer.kafka.closing import Closing
from consumer.kafka.errors import error_of, problem
from consumer.kafka.messages import raw_message
from consumer.kafka.source.properties import consumer_properties
from consumer.settings.schema import Settings

#: Messages that are taken at once, and how long the first is waited for, in seconds.
_MESSAGES, _WAIT_S = 1_000, 0.2

#: Seconds beside the transaction timeout that the brokers take to end a transaction.
_GRACE_S = 15.0


@dataclass(slots=True)
class Taken:
    """What one look has brought.

    Attributes:
        messages: in the order of their partitions, each with whether its timestamp is its
            producer's and not the broker's.
        removed: offsets that were removed before they could be read: partition, start, end.
        held: offsets that an open transaction holds, which are not waited for any more.
        done: offsets that are read or passed over by now.
    """

    messages: list[tuple[RawMessage, bool]] = field(default_factory=list)
    removed: list[tuple[TopicPartition, int, int]] = field(default_factory=list)
    held: list[tuple[TopicPartition, int, int]] = field(default_factory=list)
    done: int = 0


class RangeReader(Closing):
    """Reads partitions between two offsets; joins no group. Holds some 20 MiB. One thread.

    Args:
        settings: how to reach the brokers; `transaction_timeout_ms`, for as long as an open
            transaction is waited for.
        clock: monotonic seconds.

    Raises:
        SettingsError: a librdkafka property is wrong.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._servers = settings.bootstrap_servers
        self._patience_s = settings.transaction_timeout_ms / 1000 + _GRACE_S
        self._watch = ClientWatch()
        defaults, _ = consumer_properties(settings)
        self._consumer: Any = make_client(
            Consumer,
            settings,
            self._watch,
            defaults,
            {
                # The client asks for a group; it joins none, and nothing is ever committed.
                "group.id": settings.group_id,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                # What was removed is told; a client that moves by itself does so in silence.
                "auto.offset.reset": "error",
            },
        )

    def read(self, ranges: Mapping[TopicPartition, tuple[int, int]]) -> Iterator[Taken]:
        """All messages of these ranges; a range's end is not in it.

        Raises:
            KafkaProblem: reading cannot go on, or nothing comes for the transaction timeout and
                some seconds.
        """
        self._left = {one: (start, end) for one, (start, end) in ranges.items() if start < end}
        self._done = 0
        # Where an open transaction may hold what comes next.
        self._at_end: set[TopicPartition] = set()
        self._consumer.assign([_at(one, start) for one, (start, _) in self._left.items()])
        moved_at = self._clock()
        while self._left:
            taken = Taken()
            before = self._done
            for message in self._consumer.consume(_MESSAGES, _WAIT_S):
                self._take(message, taken)
            if self._done > before or taken.removed:
                moved_at = self._clock()
            elif self._clock() - moved_at > self._patience_s:
                self._give_up(taken)
            taken.done = self._done
            yield taken
        self._consumer.unassign()

    def close(self) -> None:
        """Release the connections."""
        self._consumer.close()

    def _take(self, message: Any, taken: Taken) -> None:
        partition = TopicPartition(message.topic() or "", message.partition())
        error = message.error()
        if error is not None and error.code() not in (
            KafkaError._PARTITION_EOF,
            KafkaError._AUTO_OFFSET_RESET,
        ):
            if not error.retriable():
                raise problem(f"reading {partition.topic} stopped", error)
            return
        if partition not in self._left:
            return  # read to its end
        offset = message.offset()
        if error is None:
            start, end = self._left[partition]
            if offset < end:
                kind, _ = message.timestamp()
                raw = raw_message(message, 0, partition)
                taken.messages.append((raw, kind != TIMESTAMP_LOG_APPEND_TIME))
            self._at_end.discard(partition)
            self._pass(partition, offset + 1)
        elif error.code() == KafkaError._PARTITION_EOF:
            self._at_end.add(partition)
            # What lies before it are markers of transactions, and what they took back.
            self._pass(partition, offset)
        else:
            start, end = self._left[partition]
            low = self._low(partition)
            taken.removed.append((partition, start, min(low, end)))
            self._pass(partition, low)
            if partition in self._left:
                self._consumer.incremental_unassign([_at(partition, low)])
                self._consumer.incremental_assign([_at(partition, low)])

    def _low(self, partition: TopicPartition) -> int:
        """The first offset that is still there."""
        try:
            low, _ = self._consumer.get_watermark_offsets(_at(partition, 0), timeout=_GRACE_S)
        except KafkaException as failed:
            doing = f"what is left of {partition.topic} cannot be asked for"
            raise problem(doing, error_of(failed)) from failed
        return int(low)

    def _pass(self, partition: TopicPartition, following: int) -> None:
        """A partition is read up to here."""
        start, end = self._left[partition]
        if following < end:
            self._done += max(following - start, 0)
            self._left[partition] = (max(following, start), end)
            return
        self._done += end - start
        del self._left[partition]
        self._consumer.incremental_unassign([_at(partition, end)])

    def _give_up(self, taken: Taken) -> None:
        """Nothing comes any more: the brokers do not answer, or transactions are open."""
        if not self._left.keys() <= self._at_end:
            said = f" ({self._watch.last.str()})" if self._watch.last else ""
            raise KafkaProblem(
                f"nothing has come from {self._servers} for {self._patience_s:.0f} s{said}; "
                "see whether the brokers are well, then start again"
            )
        taken.held += [(one, start, end) for one, (start, end) in self._left.items()]
        for partition, (_, end) in tuple(self._left.items()):
            self._pass(partition, end)


def _at(partition: TopicPartition, offset: int) -> Any:
    return confluent_kafka.TopicPartition(partition.topic, partition.partition, offset)
