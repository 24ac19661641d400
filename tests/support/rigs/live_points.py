"""Points of the live page, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from consumer.contracts.messages import TopicPartition
from consumer.telemetry.live.point import Point

#: A quiet interval of five seconds.
QUIET = Point(
    at=1_000.0,
    seconds=5.0,
    consumed=0.0,
    published=0.0,
    tombstones=0.0,
    rejected={},
    released={},
    tokens=0.0,
    entities={},
    p50_s=None,
    p99_s=None,
    batches=0,
    batch_tokens=None,
    batch_articles=None,
    worked={},
    busy={},
    unit_s={},
    lag=0,
    age_s=0.0,
    lags={},
    ages={},
    partitions=4,
    in_flight=0,
    in_flight_bytes=0,
    paused=False,
    queues={},
    committed=0,
    aborted=0,
    missed=0,
    blocked=0,
)


def point(**values: Any) -> Point:
    """A quiet point but for these."""
    return replace(QUIET, **values)


def partition(number: int, topic: str = "articles") -> TopicPartition:
    """A partition of the topic."""
    return TopicPartition(topic, number)
