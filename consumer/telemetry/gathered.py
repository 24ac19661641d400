"""Metrics of several processes on one page: each worker's own, by the label `worker`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from consumer.telemetry import declarations

#: The label that says of which worker a series is.
WORKER = "worker"


class Sample(NamedTuple):
    """One number of a family."""

    name: str
    labels: Mapping[str, str]
    value: float


class Family(NamedTuple):
    """A metric as it travels between processes."""

    name: str
    doc: str
    kind: str
    samples: tuple[Sample, ...]


def families_of(registry: CollectorRegistry) -> tuple[Family, ...]:
    """All that a registry has now."""
    return tuple(
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            tuple(Sample(one.name, dict(one.labels), one.value) for one in metric.samples),
        )
        for metric in registry.collect()
    )


def total(families: Iterable[Family], name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= dict(sample.labels).items()
    )


class Gathered(Collector):
    """The metrics of the workers as they told them last, beside the supervisor's own.

    There is no series for the sum: in a query it would count twice what `sum` adds up.

    Args:
        own: the supervisor's registry; what it has, has no label `worker` of its own.
        workers: gives the families of each worker, by its number.
    """

    def __init__(
        self, own: CollectorRegistry, workers: Callable[[], Mapping[int, Iterable[Family]]]
    ) -> None:
        self._own = own
        self._workers = workers

    def describe(self) -> Iterable[Metric]:
        """Nothing: it is known only when it is collected."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Each family once, with the series of all."""
        merged: dict[str, Metric] = {}
        for family in families_of(self._own):
            _add(merged, family, {})
        for number, families in sorted(self._workers().items()):
            for family in families:
                _add(merged, family, {WORKER: str(number)})
        return merged.values()


class SupervisorMetrics:
    """The supervisor's own numbers. Any thread.

    Args:
        registry: where they live, with those of the supervisor's process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._workers = declarations.WORKERS.gauge(registry)
        self._restarts = declarations.WORKER_RESTARTS.counter(registry)
        ProcessCollector(registry=registry)

    def workers(self, by_state: Mapping[str, int]) -> None:
        """How many workers are in each state."""
        for state in declarations.WORKERS.known:
            self._workers.labels(state).set(by_state.get(state, 0))

    def expect(self, count: int) -> None:
        """There are so many workers; a first restart is then an increase."""
        for number in range(1, count + 1):
            self._restarts.labels(str(number))

    def restarted(self, number: int) -> None:
        """A worker is started again."""
        self._restarts.labels(str(number)).inc()


def _add(merged: dict[str, Metric], family: Family, labels: Mapping[str, str]) -> None:
    metric = merged.get(family.name)
    if metric is None:
        metric = merged[family.name] = Metric(family.name, family.doc, family.kind)
    for sample in family.samples:
        metric.add_sample(sample.name, {**labels, **sample.labels}, sample.value)
