"""Lag and freshness of each partition, from its assignment to its revocation."""

from __future__ import annotations

import pytest

from consumer.contracts.messages import TopicPartition
from tests.support.scraped import Scraped

A0 = TopicPartition("articles", 0)
A1 = TopicPartition("articles", 1)


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def age_of(scraped: Scraped, partition: TopicPartition) -> float | None:
    return scraped.partition("nerstream_partition_seconds_since_progress", partition)


def lag_of(scraped: Scraped, partition: TopicPartition) -> float | None:
    return scraped.partition("nerstream_partition_lag_messages", partition)


def test_a_partition_ages_until_it_moves(scraped: Scraped) -> None:
    scraped.metrics.lag({A0: 5, A1: 0})
    scraped.clock.now += 30
    assert age_of(scraped, A0) == 30
    scraped.metrics.partitions_moved([A0], at=1_025.0)
    assert age_of(scraped, A0) == 5
    assert age_of(scraped, A1) == 30


def test_progress_never_goes_back(scraped: Scraped) -> None:
    scraped.metrics.lag({A0: 5})
    scraped.metrics.partitions_moved([A0], at=1_020.0)
    scraped.metrics.partitions_moved([A0], at=1_010.0)
    scraped.clock.now = 1_030.0
    assert age_of(scraped, A0) == 10
    scraped.clock.now = 1_000.0
    assert age_of(scraped, A0) == 0


def test_a_dropped_partition_disappears(scraped: Scraped) -> None:
    scraped.metrics.lag({A0: 5, A1: 7})
    scraped.metrics.partitions_dropped([A0])
    assert age_of(scraped, A0) is None
    assert lag_of(scraped, A0) is None
    assert lag_of(scraped, A1) == 7
    # A commit that was on its way when the partition was given up.
    scraped.metrics.partitions_moved([A0], at=1_001.0)
    assert age_of(scraped, A0) is None


def test_a_partition_that_comes_back_counts_anew(scraped: Scraped) -> None:
    scraped.metrics.lag({A0: 5})
    scraped.metrics.partitions_dropped([A0])
    scraped.clock.now += 500
    scraped.metrics.lag({A0: 9})
    scraped.clock.now += 1
    assert age_of(scraped, A0) == 1
    assert lag_of(scraped, A0) == 9
    scraped.metrics.partitions_moved([A0], at=1_501.0)
    assert age_of(scraped, A0) == 0


def test_a_lag_that_is_not_told_is_not_shown(scraped: Scraped) -> None:
    scraped.metrics.lag({A0: 5, A1: 7})
    scraped.metrics.lag({A1: 6})
    assert lag_of(scraped, A0) is None
    assert lag_of(scraped, A1) == 6
    scraped.metrics.partitions_dropped([A0, A1])
    assert lag_of(scraped, A1) is None


def ends_of(scraped: Scraped, partition: TopicPartition) -> list[float | None]:
    names = ("nerstream_partition_last_stable_offset", "nerstream_partition_high_watermark_offset")
    return [scraped.partition(name, partition) for name in names]


def test_both_ends_are_shown_of_what_is_assigned(scraped: Scraped) -> None:
    scraped.metrics.ends({A0: 100, A1: 7}, {A0: 150, A1: 7})
    assert (ends_of(scraped, A0), ends_of(scraped, A1)) == ([100, 150], [7, 7])
    scraped.metrics.partitions_dropped([A0])
    assert (ends_of(scraped, A0), ends_of(scraped, A1)) == ([None, None], [7, 7])
    scraped.metrics.ends({A1: 8}, {})
    assert ends_of(scraped, A1) == [8, None]
