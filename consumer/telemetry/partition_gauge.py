"""PartitionGauge: a number for each assigned partition, and none for the others."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from prometheus_client import Gauge

from consumer.contracts.messages import TopicPartition


class PartitionGauge:
    """Any thread may call any method.

    Args:
        gauge: with the labels `topic` and `partition`.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        #: Guards `_shown`: a number and a drop may come from different threads.
        self._lock = threading.Lock()
        self._shown: set[TopicPartition] = set()

    def show(self, numbers: Mapping[TopicPartition, int]) -> None:
        """Show these and no others: an old number of another partition would be wrong."""
        with self._lock:
            for partition, number in numbers.items():
                self._gauge.labels(partition.topic, partition.partition).set(number)
            self._remove(self._shown - numbers.keys())
            self._shown = set(numbers)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions are no longer assigned."""
        with self._lock:
            self._remove(self._shown & set(partitions))

    def _remove(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in list(partitions):
            self._gauge.remove(partition.topic, partition.partition)
            self._shown.discard(partition)
