"""Asks the brokers where the bounds of a run are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka.admin import OffsetSpec

from consumer.contracts.messages import TopicPartition
from consumer.kafka.errors import offset_of
from consumer.kafka.source.runs.plan import Found
from consumer.settings.run_bounds import EARLIEST, END, LATEST, time_ms

Answer = TypeVar("Answer")


def result_of(future: Future[Answer], timeout_s: float) -> Answer:
    """The result, or a KafkaException where none comes in time."""
    try:
        return future.result(timeout_s)
    except NotYet:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None


def places(
    client: Any, partitions: Collection[TopicPartition], begins: str, ends: str, timeout_s: float
) -> Mapping[TopicPartition, Found]:
    """Where the bounds of a run are now. Blocks for a few round trips.

    Raises:
        KafkaException: they are not known; the same call again may help.
    """

    def offsets(spec: Any, isolation: Any) -> Mapping[TopicPartition, int]:
        asked = {confluent_kafka.TopicPartition(*one): spec for one in partitions}
        futures = client.list_offsets(asked, isolation_level=isolation, request_timeout=timeout_s)
        return {
            TopicPartition(one.topic, one.partition): offset_of(result_of(future, timeout_s))
            for one, future in futures.items()
        }

    # The high watermark: what an open transaction holds was there before the run. It comes first,
    # so that nothing stands between it and a begin that is not there yet.
    uncommitted = IsolationLevel.READ_UNCOMMITTED
    high = offsets(OffsetSpec.latest(), uncommitted)
    low = offsets(OffsetSpec.earliest(), uncommitted)

    def bound(text: str) -> Mapping[TopicPartition, int | None]:
        if text == EARLIEST:
            return low
        if text == LATEST:
            # Where a group begins that is new: what is not committed yet is still to be read.
            return offsets(OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
        if text == END:
            return dict.fromkeys(partitions)
        at_ms = time_ms(text)
        assert at_ms is not None, "the settings are checked"
        # No message is older than 1970. Below 0 are places of Kafka's own: -1 is the end, -3 the
        # newest message.
        found = offsets(OffsetSpec.for_timestamp(max(at_ms, 0)), uncommitted)
        return {one: offset if offset >= 0 else None for one, offset in found.items()}

    first, last = bound(begins), bound(ends)
    return {one: Found(low[one], high[one], first[one], last[one]) for one in partitions}
