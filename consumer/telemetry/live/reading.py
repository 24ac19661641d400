"""Reading: what the metrics say at one moment, added up over what the page does not tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from consumer.contracts.messages import TopicPartition
from consumer.telemetry import declarations as declared
from consumer.telemetry.declaration import Declaration

#: Gives the metrics of one worker, or of several with what they have in common added up or told
#: apart by a label more.
Collect: TypeAlias = Callable[[], Iterable[Metric]]

#: Counters and gauges that are added up, over all of their labels.
_SUMS = (
    declared.MESSAGES_CONSUMED,
    declared.ARTICLES_PUBLISHED,
    declared.TOMBSTONES_PUBLISHED,
    declared.TOKENS,
    declared.IN_FLIGHT_MESSAGES,
    declared.IN_FLIGHT_BYTES,
    declared.PAUSED,
    declared.ASSIGNED_PARTITIONS,
    declared.MESSAGES_MISSED,
    declared.OUT_OF_MEMORY_SPLITS,
)
#: Those that are added up by one label.
_BY_LABEL = {
    declared.MESSAGES_REJECTED: "code",
    declared.MESSAGES_RELEASED: "reason",
    declared.ENTITIES: "type",
    declared.TRANSACTIONS: "outcome",
    declared.QUEUE_DEPTH: "queue",
}
#: Those of a bounded run: all of its workers tell the same.
_LARGEST = (declared.RUN_OFFSETS, declared.RUN_OFFSETS_DONE, declared.RUN_SECONDS_LEFT)
_BY_PARTITION = (
    declared.PARTITION_LAG,
    declared.PARTITION_PROGRESS,
    declared.PARTITION_HIGH_WATERMARK,
    declared.PARTITION_LAST_STABLE,
)

_STAGE_SUM = f"{declared.STAGE_DURATION.name}_sum"
_STAGE_COUNT = f"{declared.STAGE_DURATION.name}_count"
_LATENCY_BUCKET = f"{declared.END_TO_END_LATENCY.name}_bucket"
_BATCH_TOKENS = (f"{declared.BATCH_TOKENS.name}_sum", f"{declared.BATCH_TOKENS.name}_count")
_BATCH_ARTICLES = f"{declared.BATCH_ARTICLES.name}_sum"

#: The samples that a reading is made of.
SAMPLES = frozenset(
    {one.name for one in (*_SUMS, *_BY_LABEL, *_LARGEST, *_BY_PARTITION, declared.MODEL_INFO)}
    | {_STAGE_SUM, _STAGE_COUNT, _LATENCY_BUCKET, *_BATCH_TOKENS, _BATCH_ARTICLES}
)


@dataclass(slots=True)
class Reading:
    """The metrics at one moment.

    Attributes:
        at: seconds since the epoch.
        sums: samples by name.
        labelled: samples by name and label.
        stages: seconds and units of work of each stage.
        latencies: articles by upper bound in seconds, each bound with those below it.
        partitions: by metric, each assigned partition's value.
        models: name, device and precision of the models that answer.
        workers: how many tell their metrics.
    """

    at: float
    sums: dict[str, float] = field(default_factory=dict)
    labelled: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)
    latencies: dict[float, float] = field(default_factory=dict)
    partitions: dict[str, dict[TopicPartition, float]] = field(default_factory=dict)
    models: set[tuple[str, str, str]] = field(default_factory=set)
    workers: int = 0

    def sum(self, metric: Declaration) -> float:
        """The sum of a metric over all labels; 0 where there is none."""
        return self.sums.get(metric.name, 0.0)

    def by_label(self, metric: Declaration) -> Mapping[str, float]:
        """The sums of a metric by its label."""
        return self.labelled.get(metric.name, {})

    def by_partition(self, metric: Declaration) -> Mapping[TopicPartition, float]:
        """A metric of each assigned partition."""
        return self.partitions.get(metric.name, {})

    @property
    def batch_tokens(self) -> tuple[float, float]:
        """Tokens of all batches, and batches."""
        tokens, batches = _BATCH_TOKENS
        return self.sums.get(tokens, 0.0), self.sums.get(batches, 0.0)

    @property
    def batch_articles(self) -> float:
        """Articles of all batches."""
        return self.sums.get(_BATCH_ARTICLES, 0.0)


def needed_of(registry: CollectorRegistry) -> Collect:
    """Collects from a registry what a reading needs, and asks for nothing else: neither the
    process nor the device is looked at."""
    collect: Collect = registry.restricted_registry(SAMPLES).collect
    return collect


def read(collect: Collect, at: float) -> Reading:
    """The metrics now.

    Args:
        at: now, in seconds since the epoch.
    """
    reading = Reading(at)
    sums, labelled, partitions = reading.sums, reading.labelled, reading.partitions
    for metric in collect():
        for sample in metric.samples:
            name, labels, value = sample.name, sample.labels, sample.value
            if name not in SAMPLES:
                continue
            if name == declared.MODEL_INFO.name:
                reading.models.add((labels["name"], labels["device"], labels["dtype"]))
            elif name == _LATENCY_BUCKET:
                bound = float(labels["le"])
                reading.latencies[bound] = reading.latencies.get(bound, 0.0) + value
            elif name == _STAGE_SUM:
                seconds, units = reading.stages.get(labels["stage"], (0.0, 0.0))
                reading.stages[labels["stage"]] = seconds + value, units
            elif name == _STAGE_COUNT:
                seconds, units = reading.stages.get(labels["stage"], (0.0, 0.0))
                reading.stages[labels["stage"]] = seconds, units + value
            elif name in _LABELS:
                values = labelled.setdefault(name, {})
                label = labels[_LABELS[name]]
                values[label] = values.get(label, 0.0) + value
            elif name in _PARTITION_NAMES:
                places = partitions.setdefault(name, {})
                place = TopicPartition(labels["topic"], int(labels["partition"]))
                # Two workers tell of the same one for a moment, when it moves between them.
                places[place] = max(value, places.get(place, value))
            elif name in _LARGEST_NAMES:
                sums[name] = max(value, sums.get(name, value))
            else:
                sums[name] = sums.get(name, 0.0) + value
                # Each worker has one of these.
                reading.workers += name == declared.MESSAGES_CONSUMED.name
    return reading


_LABELS = {metric.name: label for metric, label in _BY_LABEL.items()}
_PARTITION_NAMES = frozenset(metric.name for metric in _BY_PARTITION)
_LARGEST_NAMES = frozenset(metric.name for metric in _LARGEST)
