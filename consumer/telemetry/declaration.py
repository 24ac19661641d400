"""Declaration: what a metric is called, counts and warns of, before there is a registry.

`consumer.telemetry.declarations` lists them all; `Metrics` makes the live ones from them, and
`docs/reference/metrics.md` is generated from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

from consumer.telemetry.batch_histogram import BatchHistogram


class Kind(StrEnum):
    """The Prometheus type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One metric.

    Attributes:
        kind: its type.
        name: as it is queried; a counter ends in `_total`, an info in `_info`, and a histogram
            adds `_bucket`, `_sum` and `_count`.
        unit: what one of it is (`seconds`, `bytes`, `messages`, `ratio`), for the reference.
        doc: what it tells, one sentence; also the HELP text.
        worry: when to worry.
        labels: names of its labels.
        known: values of its only label that exist from the start, at 0, so that the first event
            is already an increase.
        buckets: upper bounds of a histogram, in its unit.
    """

    kind: Kind
    name: str
    unit: str
    doc: str
    worry: str
    labels: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """A live counter, with its known labels at 0."""
        counter = Counter(self.name, self.doc, self.labels, registry=registry)
        for value in self.known:
            counter.labels(value)
        return counter

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """A live gauge, with its known labels at 0."""
        gauge = Gauge(self.name, self.doc, self.labels, registry=registry)
        for value in self.known:
            gauge.labels(value)
        return gauge

    def histogram(self, registry: CollectorRegistry) -> BatchHistogram:
        """A live histogram, with its known labels empty."""
        histogram = BatchHistogram(
            self.name, self.doc, self.labels, registry=registry, buckets=self.buckets
        )
        for value in self.known:
            histogram.labels(value)
        return histogram

    def gauge_family(self) -> GaugeMetricFamily:
        """An empty family, for a collector that reads its values when it is scraped."""
        return GaugeMetricFamily(self.name, self.doc, labels=self.labels)

    def info_family(self, *samples: Sequence[str]) -> InfoMetricFamily:
        """The info samples, each with one value for each of the labels."""
        family = InfoMetricFamily(self.name.removesuffix("_info"), self.doc, labels=self.labels)
        for values in samples:
            family.add_metric(values, {})
        return family
