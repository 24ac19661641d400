"""Metrics in a registry of their own, read as Prometheus would."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from consumer.contracts.messages import TopicPartition
from consumer.telemetry.metrics import Metrics


class Clock:
    """A wall clock that stands until it is set."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Scraped:
    """Metrics in a registry of their own, with the clock they look at."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.clock = Clock()
        self.metrics = Metrics(self.registry, self.clock)

    def value(self, name: str, /, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def partition(self, name: str, partition: TopicPartition) -> float | None:
        return self.value(name, topic=partition.topic, partition=str(partition.partition))
