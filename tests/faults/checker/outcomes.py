"""Outcomes: every message of a run has one, in order, and it is the right one."""

from __future__ import annotations

import time
from collections import Counter

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tests.faults.feeding.traffic import NUMBER_HEADER, REASONS, Outcome, Traffic, placed
from tests.faults.matrix.ground import Ground
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record

#: So many faults of one kind are told; the rest are counted.
_TOLD = 3


class Outcomes:
    """Reads the outcomes of a run and keeps what is wrong with them. One thread.

    Attributes:
        kinds: how many outcomes of each kind; resolved: messages that have theirs.
        faults: every broken invariant in words, of each sort the first few.
    """

    def __init__(self, ground: Ground, traffic: Traffic) -> None:
        self.kinds: Counter[str] = Counter()
        self.faults: list[str] = []
        self.resolved = 0
        self._ground = ground
        self._partitions = ground.partitions
        self._traffic = traffic
        self._seen = bytearray(traffic.messages)
        self._last: dict[tuple[str, int, int], int] = {}
        self._told: Counter[str] = Counter()
        self._at_end: set[tuple[str, int]] = set()
        self._consumer = _consumer(ground)
        self._consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in (ground.output, ground.dead_letters)
                for partition in range(ground.partitions)
            ]
        )

    def read(self) -> int:
        """Look at what has come, waiting a moment for the first; how many outcomes that was."""
        looked_at = 0
        for message in self._consumer.consume(500, 0.2):
            error = message.error()
            if error is None:
                self.note(message.topic() == self._ground.output, _record(message))
                looked_at += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._at_end.add((message.topic(), message.partition()))
            elif not error.retriable():
                raise KafkaException(error)
        return looked_at

    def read_rest(self) -> None:
        """Read on to the end of both topics, once the worker is gone, and close."""
        assigned = self._consumer.assignment()
        # Assigned anew, each partition tells of its end once more.
        self._at_end.clear()
        self._consumer.assign(
            [
                TopicPartition(one.topic, one.partition, _next(one.offset))
                for one in self._consumer.position(assigned)
            ]
        )
        deadline = time.monotonic() + helpers.CALL_TIMEOUT_S
        while len(self._at_end) < len(assigned):
            if self.read():
                deadline = time.monotonic() + helpers.CALL_TIMEOUT_S
            assert time.monotonic() < deadline, "the outcomes could not be read to their end"
        self._consumer.close()
        lost = [number for number, times in enumerate(self._seen) if not times]
        if lost:
            self.faults.append(f"lost: {len(lost)} messages, the first {lost[:5]}")
        for sort, count in self._told.items():
            if count > _TOLD:
                self.faults.append(f"{sort}: {count} times in all")

    def note(self, is_output: bool, record: Record) -> None:
        """One more outcome, read from the output or the dead-letter topic."""
        headers = dict(record.headers)
        number = _number(headers.get(NUMBER_HEADER))
        kind = "tombstone" if record.value is None else "enriched"
        if not is_output:
            kind = (headers.get(f"{REASONS}code") or b"no code").decode()
            partition = _number(headers.get(f"{REASONS}partition"))
            offset = _number(headers.get(f"{REASONS}offset"))
            origin = -1 if min(partition, offset) < 0 else offset * self._partitions + partition
            if number != origin:
                self.fault("a dead letter names another origin", f"{origin}, not {number}")
            number = origin
        self.kinds[kind] += 1
        if not 0 <= number < len(self._seen):
            self.fault("an outcome belongs to no message", f"{number}")
            return
        if self._seen[number] < 255:
            self._seen[number] += 1
        if self._seen[number] > 1:
            self.fault("doubled", f"message {number} ({kind})")
            return
        self.resolved += 1
        self._check_order(is_output, number, record)
        sent = placed(self._traffic.record(number), number, self._partitions)
        for fault in self._traffic.judge(sent, Outcome(kind, record)):
            self.fault(fault.split(":", 1)[0], f"message {number} ({kind}): {fault}")

    def fault(self, sort: str, text: str) -> None:
        """Keep a fault; of one sort the first few."""
        self._told[sort] += 1
        if self._told[sort] <= _TOLD:
            self.faults.append(f"{sort}: {text}")

    def _check_order(self, is_output: bool, number: int, record: Record) -> None:
        offset, partition = divmod(number, self._partitions)
        way = ("out" if is_output else "dead", partition, record.partition or 0)
        if offset < self._last.get(way, -1):
            self.fault("out of order", f"offset {offset} of {partition} after {self._last[way]}")
        self._last[way] = offset


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() else -1


def _next(offset: int) -> int:
    return offset if offset >= 0 else OFFSET_BEGINNING


def _record(message: Message) -> Record:
    return Record(
        value=message.value(),
        key=message.key(),
        headers=tuple(message.headers() or ()),
        timestamp_ms=message.timestamp()[1],
        partition=message.partition(),
        offset=message.offset(),
    )


def _consumer(ground: Ground) -> Consumer:
    config: dict[str, str | int | bool] = {
        "bootstrap.servers": ground.bootstrap,
        "group.id": f"{ground.group}-reader",
        "log_level": 0,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "fetch.message.max.bytes": 16 * 1024 * 1024,
        # As much as is soon looked at: what waits here is memory of the checker's own.
        "queued.max.messages.kbytes": 16_384,
    }
    return Consumer(config)
