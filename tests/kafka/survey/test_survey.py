from __future__ import annotations

import pytest

from consumer.contracts.cluster import Bounds
from consumer.contracts.messages import TopicPartition
from consumer.kafka.survey.survey import client_limits, newest_spans
from consumer.settings.schema import Settings


def bounds(*lengths: int) -> dict[TopicPartition, Bounds]:
    return {
        TopicPartition("in", part): Bounds(100, 100 + length, 100 + length)
        for part, length in enumerate(lengths)
    }


@pytest.mark.parametrize(
    ("lengths", "count", "taken"),
    [
        ((1_000, 1_000), 100, (50, 50)),
        ((10, 1_000), 100, (10, 90)),
        ((0, 1_000), 100, (0, 100)),
        ((3, 4), 100, (3, 4)),
        ((1_000, 1_000, 1_000), 2, (1, 1, 0)),
    ],
)
def test_the_newest_come_from_all_partitions(
    lengths: tuple[int, ...], count: int, taken: tuple[int, ...]
) -> None:
    spans = newest_spans(bounds(*lengths), count)
    found = [0] * len(lengths)
    for one, (begin, end) in spans.items():
        assert end == 100 + lengths[one.partition]
        found[one.partition] = end - begin
    assert tuple(found) == taken


def test_the_limits_of_the_clients_are_those_that_they_get() -> None:
    limits = client_limits(Settings())
    assert limits.message_max_bytes == 100 * 1024 * 1024
    assert (limits.session_timeout_ms, limits.max_poll_interval_ms) == (45_000, 300_000)
    limits = client_limits(
        Settings(kafka={"message.max.bytes": "2000000", "max.poll.interval.ms": "30000"})
    )
    assert limits.message_max_bytes == 2_000_000
    # A session ends within a poll's time, so the default moves along.
    assert (limits.session_timeout_ms, limits.max_poll_interval_ms) == (30_000, 30_000)
