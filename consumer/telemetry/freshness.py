"""Freshness: tells for how long each assigned partition has not moved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from consumer.contracts.messages import TopicPartition
from consumer.telemetry.declarations import PARTITION_PROGRESS


class Freshness(Collector):
    """Remembers when each partition last moved; tells its age when it is scraped.

    Any thread may call any method. A partition counts from the moment it is first seen, so that
    one which never moves at all is not overlooked. Once forgotten it stays so until it is seen
    again: a commit that ends just after the partition was given up must not bring it back.

    Args:
        clock: seconds since the epoch, the same as the timestamps of `moved`.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._moved_at: dict[TopicPartition, float] = {}
        self._forgotten: set[TopicPartition] = set()

    def seen(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions are assigned."""
        now = self._clock()
        with self._lock:
            for partition in partitions:
                self._forgotten.discard(partition)
                self._moved_at.setdefault(partition, now)

    def moved(self, partitions: Sequence[TopicPartition], at: float) -> None:
        """These partitions made progress at this time; an earlier time than known is ignored."""
        with self._lock:
            for partition in partitions:
                if partition not in self._forgotten:
                    self._moved_at[partition] = max(at, self._moved_at.get(partition, at))

    def forget(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions are no longer assigned."""
        with self._lock:
            for partition in partitions:
                self._moved_at.pop(partition, None)
                self._forgotten.add(partition)

    def describe(self) -> Iterable[Metric]:
        return [PARTITION_PROGRESS.gauge_family()]

    def collect(self) -> Iterable[Metric]:
        family: GaugeMetricFamily = PARTITION_PROGRESS.gauge_family()
        now = self._clock()
        with self._lock:
            ages = {partition: now - at for partition, at in self._moved_at.items()}
        for partition, age_s in sorted(ages.items()):
            # A clock that was set back gives an age below zero, which means nothing.
            family.add_metric([partition.topic, str(partition.partition)], max(0.0, age_s))
        return [family]
