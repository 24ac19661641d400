"""Point: what happened between two readings of the metrics; the page draws a line through many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consumer.contracts.messages import TopicPartition
from consumer.telemetry import declarations as declared
from consumer.telemetry.declaration import Declaration
from consumer.telemetry.live.reading import Reading

#: Partitions that the page tells apart: those with the largest lag. The others are in the sums.
PARTITIONS = 24


@dataclass(frozen=True, slots=True)
class Point:
    """One interval of time.

    Attributes:
        at: its end, in seconds since the epoch.
        seconds: how long it is.
        consumed, published, tombstones: messages a second.
        rejected, released: messages in it, by code or reason; those at 0 are left out.
        tokens: tokens a second.
        entities: entities in it, by type.
        p50_s, p99_s: latencies; None where nothing was committed.
        batches: batches in it; batch_tokens, batch_articles: of one, on the average.
        worked: seconds of the units that ended in it, by stage; a unit may have begun long before.
            Of several workers on the average.
        busy: share of the time that each stage works, 0 to 1, as `units.busy_of` has it.
        unit_s: seconds that a stage worked on one unit, on the average.
        lag: offsets behind the high watermark, over all partitions.
        age_s: seconds since the progress of the partition that has stood longest.
        lags, ages: both by partition, for `PARTITIONS` of them at most.
        partitions: how many are assigned.
        in_flight, in_flight_bytes, paused: at its end.
        queues: depths at its end, by queue.
        committed, aborted: transactions in it.
        missed: offsets in it that were never read.
        blocked: partitions of which a part waits behind an open transaction upstream.
    """

    at: float
    seconds: float
    consumed: float
    published: float
    tombstones: float
    rejected: Mapping[str, int]
    released: Mapping[str, int]
    tokens: float
    entities: Mapping[str, int]
    p50_s: float | None
    p99_s: float | None
    batches: int
    batch_tokens: float | None
    batch_articles: float | None
    worked: Mapping[str, float]
    busy: Mapping[str, float]
    unit_s: Mapping[str, float]
    lag: int
    age_s: float
    lags: Mapping[TopicPartition, int]
    ages: Mapping[TopicPartition, float]
    partitions: int
    in_flight: int
    in_flight_bytes: int
    paused: bool
    queues: Mapping[str, int]
    committed: int
    aborted: int
    missed: int
    blocked: int

    @property
    def outcomes(self) -> float:
        """Messages a second that came to their end."""
        return self.published + self.tombstones + sum(self.rejected.values()) / self.seconds

    def as_json(self) -> dict[str, Any]:
        """The point as the page reads it: short names, and numbers no finer than it shows them."""
        return {
            "t": round(self.at, 2),
            "in": _rounded(self.consumed),
            "out": _rounded(self.published),
            "tok": _rounded(self.tokens),
            "p50": _rounded(self.p50_s),
            "p99": _rounded(self.p99_s),
            "bt": _rounded(self.batch_tokens),
            "ba": _rounded(self.batch_articles),
            "lag": self.lag,
            "age": _rounded(self.age_s),
            "fly": self.in_flight,
            "ok": self.committed,
            "ab": self.aborted,
            "s": round(self.seconds, 2),
            "end": round(self.outcomes * self.seconds),
            "busy": {stage: round(share, 4) for stage, share in self.busy.items()},
            "rej": dict(self.rejected),
            "ent": dict(self.entities),
            "parts": {
                f"{place.topic}/{place.partition}": [lag, round(self.ages.get(place, 0.0), 1)]
                for place, lag in self.lags.items()
            },
        }


def between(before: Reading, after: Reading) -> Point:
    """What happened from one reading to the next. Counters of workers that have ended, and so have
    become smaller, count as nothing."""
    seconds = max(1e-3, after.at - before.at)

    def rate(metric: Declaration) -> float:
        return max(0.0, after.sum(metric) - before.sum(metric)) / seconds

    def grown(metric: Declaration) -> dict[str, int]:
        earlier = before.by_label(metric)
        return {
            label: int(value - earlier.get(label, 0.0))
            for label, value in after.by_label(metric).items()
            if value > earlier.get(label, 0.0)
        }

    tokens, batches = (
        max(0.0, now - then)
        for now, then in zip(after.batch_tokens, before.batch_tokens, strict=True)
    )
    articles = max(0.0, after.batch_articles - before.batch_articles)
    latencies = {
        bound: max(0.0, count - before.latencies.get(bound, 0.0))
        for bound, count in after.latencies.items()
    }
    stages = {
        stage: (
            max(0.0, worked - before.stages.get(stage, (0.0, 0.0))[0]),
            max(0.0, units - before.stages.get(stage, (0.0, 0.0))[1]),
        )
        for stage, (worked, units) in after.stages.items()
    }
    lags = after.by_partition(declared.PARTITION_LAG)
    ages = after.by_partition(declared.PARTITION_PROGRESS)
    # Those that are furthest behind; of equals the same ones each time.
    shown = sorted(sorted(lags, key=lambda one: (-lags[one], one))[:PARTITIONS])
    stable = after.by_partition(declared.PARTITION_LAST_STABLE)
    high = after.by_partition(declared.PARTITION_HIGH_WATERMARK)
    ended = grown(declared.TRANSACTIONS)
    return Point(
        at=after.at,
        seconds=seconds,
        consumed=rate(declared.MESSAGES_CONSUMED),
        published=rate(declared.ARTICLES_PUBLISHED),
        tombstones=rate(declared.TOMBSTONES_PUBLISHED),
        rejected=grown(declared.MESSAGES_REJECTED),
        released=grown(declared.MESSAGES_RELEASED),
        tokens=rate(declared.TOKENS),
        entities=grown(declared.ENTITIES),
        p50_s=quantile(latencies, 0.5),
        p99_s=quantile(latencies, 0.99),
        batches=int(batches),
        batch_tokens=tokens / batches if batches else None,
        batch_articles=articles / batches if batches else None,
        worked={stage: worked / max(1, after.workers) for stage, (worked, _) in stages.items()},
        # Only with the intervals before it; see `units.busy_of`.
        busy={},
        unit_s={stage: worked / units for stage, (worked, units) in stages.items() if units},
        lag=int(sum(lags.values())),
        age_s=max((age for one, age in ages.items() if lags.get(one, 0) > 0), default=0.0),
        lags={one: int(lags[one]) for one in shown},
        ages={one: ages[one] for one in shown if one in ages},
        partitions=int(after.sum(declared.ASSIGNED_PARTITIONS)),
        in_flight=int(after.sum(declared.IN_FLIGHT_MESSAGES)),
        in_flight_bytes=int(after.sum(declared.IN_FLIGHT_BYTES)),
        paused=after.sum(declared.PAUSED) > 0,
        queues={name: int(depth) for name, depth in after.by_label(declared.QUEUE_DEPTH).items()},
        committed=ended.get("committed", 0),
        aborted=ended.get("aborted", 0),
        missed=int(
            max(0.0, after.sum(declared.MESSAGES_MISSED) - before.sum(declared.MESSAGES_MISSED))
        ),
        blocked=sum(stable[one] < high.get(one, stable[one]) for one in stable),
    )


def quantile(counts: Mapping[float, float], share: float) -> float | None:
    """The value that this share of the observations does not exceed, as Prometheus'
    `histogram_quantile` has it: even between two bounds, and no more than the last finite one.

    Args:
        counts: observations by upper bound, each bound with those below it.
        share: 0 to 1.

    Returns:
        None where nothing was observed.
    """
    bounds = sorted(counts)
    if not bounds or not counts[bounds[-1]]:
        return None
    wanted = share * counts[bounds[-1]]
    lower, below = 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= wanted and counts[bound] > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (wanted - below) / (counts[bound] - below)
        lower, below = bound, counts[bound]
    return lower


def _rounded(value: float | None) -> float | None:
    """Four digits that count are more than a chart shows."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.4g}")
