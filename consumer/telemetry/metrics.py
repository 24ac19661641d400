"""Metrics: listens to the pipeline and keeps the numbers that Prometheus scrapes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from consumer import __version__
from consumer.contracts.choices import (
    FoundBy,
    JumpReason,
    RejectCode,
    ShadowFate,
    SkipReason,
    SpanFate,
)
from consumer.contracts.messages import ModelInfo, TaggingResult, TopicPartition
from consumer.contracts.runs import RunProgress
from consumer.telemetry import declarations
from consumer.telemetry.freshness import Freshness
from consumer.telemetry.partition_gauge import PartitionGauge

log = logging.getLogger(__name__)


class _Info(Collector):
    """A family that never changes."""

    def __init__(self, family: InfoMetricFamily) -> None:
        self._family = family

    def describe(self) -> Iterable[Metric]:
        return [self._family]

    def collect(self) -> Iterable[Metric]:
        return [self._family]


class _DeviceMemory(Collector):
    """Asks the device for its memory at each scrape; gives none where the device fails to
    answer."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return [declarations.DEVICE_MEMORY.gauge_family()]

    def collect(self) -> Iterable[Metric]:
        family = declarations.DEVICE_MEMORY.gauge_family()
        try:
            kinds = self._read()
        except Exception:
            # A scrape must not fail for one number, nor fill the log every few seconds.
            log.debug("the device does not tell its memory", exc_info=True)
            kinds = {}
        for kind, size_bytes in kinds.items():
            family.add_metric([kind], size_bytes)
        return [family]


class Metrics:
    """Fulfils `consumer.contracts.observer.Observer`; every method is quick and never raises.

    Args:
        registry: where the metrics live; process, platform and garbage-collection metrics are
            added to it.
        clock: seconds since the epoch, for the age of each partition's progress.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.time) -> None:
        self._registry = registry
        self._consumed = declarations.MESSAGES_CONSUMED.counter(registry)
        self._consumed_bytes = declarations.CONSUMED_BYTES.counter(registry)
        self._published = declarations.ARTICLES_PUBLISHED.counter(registry)
        self._untagged = declarations.ARTICLES_UNTAGGED.counter(registry)
        self._unchanged = declarations.ARTICLES_UNCHANGED.counter(registry)
        self._tombstones = declarations.TOMBSTONES_PUBLISHED.counter(registry)
        self._rejected = declarations.MESSAGES_REJECTED.counter(registry)
        self._released = declarations.MESSAGES_RELEASED.counter(registry)
        self._entities = declarations.ENTITIES.counter(registry)
        self._dropped = declarations.ENTITIES_DROPPED.counter(registry)
        self._tokens = cache(declarations.TOKENS.counter(registry).labels)
        self._computed_tokens = cache(declarations.COMPUTED_TOKENS.counter(registry).labels)
        self._splits = declarations.OUT_OF_MEMORY_SPLITS.counter(registry)
        self._batch_articles = declarations.BATCH_ARTICLES.histogram(registry)
        self._batch_tokens = declarations.BATCH_TOKENS.histogram(registry)
        self._batch_wait = declarations.BATCH_WAIT.histogram(registry)
        self._batch_padding = declarations.BATCH_PADDING.histogram(registry)
        # `labels` takes longer than the work on its result, and few different ones are asked for.
        self._stage_duration = cache(declarations.STAGE_DURATION.histogram(registry).labels)
        self._latency = declarations.END_TO_END_LATENCY.histogram(registry)
        self._queue_depth = cache(declarations.QUEUE_DEPTH.gauge(registry).labels)
        self._in_flight_messages = declarations.IN_FLIGHT_MESSAGES.gauge(registry)
        self._in_flight_bytes = declarations.IN_FLIGHT_BYTES.gauge(registry)
        self._paused = declarations.PAUSED.gauge(registry)
        self._lag = PartitionGauge(declarations.PARTITION_LAG.gauge(registry))
        self._high = PartitionGauge(declarations.PARTITION_HIGH_WATERMARK.gauge(registry))
        self._stable = PartitionGauge(declarations.PARTITION_LAST_STABLE.gauge(registry))
        self._transactions = declarations.TRANSACTIONS.counter(registry)
        self._offset_moves = declarations.OFFSET_MOVES.counter(registry)
        self._jumps = declarations.POSITION_JUMPS.counter(registry)
        self._missed = declarations.MESSAGES_MISSED.counter(registry)
        self._rebalances = declarations.REBALANCES.counter(registry)
        self._assigned = declarations.ASSIGNED_PARTITIONS.gauge(registry)
        self._run_offsets = declarations.RUN_OFFSETS.gauge(registry)
        self._run_done = declarations.RUN_OFFSETS_DONE.gauge(registry)
        self._run_left = declarations.RUN_SECONDS_LEFT.gauge(registry)
        self._shadow_articles = declarations.SHADOW_ARTICLES.counter(registry)
        self._shadow_entities = declarations.SHADOW_ENTITIES.counter(registry)
        self._shadow_running = declarations.SHADOW_RUNNING.gauge(registry)
        self._spans = declarations.TRACE_SPANS.counter(registry)
        self._freshness = Freshness(clock)
        registry.register(self._freshness)
        registry.register(_Info(declarations.BUILD_INFO.info_family([__version__])))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    # --- Told once, by the worker

    def models_loaded(self, models: Sequence[ModelInfo]) -> None:
        """The models that answer; with them come the entity types, which then start at 0."""
        family = declarations.MODEL_INFO.info_family(
            *([one.name, one.revision, one.device, one.dtype, one.answers] for one in models)
        )
        self._registry.register(_Info(family))
        for model in models:
            self._tokens(model.name, model.revision)
            self._computed_tokens(model.name, model.revision)
            for entity_type in model.types:
                self._entities.labels(entity_type)

    def watch_device_memory(self, read: Callable[[], Mapping[str, int]]) -> None:
        """Ask `read` at every scrape for bytes by kind: `allocated`, `reserved`.

        It is called on the admin server's threads and must be quick.
        """
        self._registry.register(_DeviceMemory(read))

    # --- Told by what sends spans

    def spans(self, fate: SpanFate, spans: int) -> None:
        """So many spans came to this end."""
        self._spans.labels(fate).inc(spans)

    # --- Told by a second model, `consumer.shadow`

    def shadow_articles(self, fate: ShadowFate, articles: int) -> None:
        """So many articles of the sample came to this end."""
        self._shadow_articles.labels(fate).inc(articles)

    def shadow_entities(self, found_by: FoundBy, by_type: Mapping[str, int]) -> None:
        """So many entities, by type, were found by both models or by one alone."""
        for entity_type, entities in by_type.items():
            self._shadow_entities.labels(entity_type, found_by).inc(entities)

    def shadow_running(self, running: bool) -> None:
        """The second model answers, or does so no more."""
        self._shadow_running.set(running)

    # --- Observer

    def consumed(self, messages: int, size_bytes: int) -> None:
        self._consumed.inc(messages)
        self._consumed_bytes.inc(size_bytes)

    def stage_seconds(self, stage: str, seconds: float) -> None:
        self._stage_duration(stage).observe(max(0.0, seconds))

    def batch_closed(self, articles: int, tokens: int, waited_s: float) -> None:
        self._batch_articles.observe(articles)
        self._batch_tokens.observe(tokens)
        self._batch_wait.observe(max(0.0, waited_s))

    def batch_tagged(self, result: TaggingResult) -> None:
        for share in result.shares:
            model = share.model
            self._tokens(model.name, model.revision).inc(share.tokens)
            self._computed_tokens(model.name, model.revision).inc(share.computed_tokens)
            self._splits.inc(share.out_of_memory_splits)
        for reason, entities in result.dropped.items():
            self._dropped.labels(reason).inc(entities)
        computed_tokens = result.computed_tokens
        if computed_tokens > 0:
            self._batch_padding.observe(max(0.0, 1 - result.tokens / computed_tokens))

    def committed(
        self,
        published: int,
        tombstones: int,
        rejected: Mapping[RejectCode, int],
        untagged: Mapping[SkipReason, int],
        entities_by_type: Mapping[str, int],
        latencies_s: Sequence[float],
    ) -> None:
        self._published.inc(published)
        self._tombstones.inc(tombstones)
        for code, messages in rejected.items():
            self._rejected.labels(code).inc(messages)
        for reason, messages in untagged.items():
            self._untagged.labels(reason).inc(messages)
        for entity_type, entities in entities_by_type.items():
            self._entities.labels(entity_type).inc(entities)
        # The broker's clock may be ahead of ours; no article is committed before its append.
        self._latency.observe_many([max(0.0, latency_s) for latency_s in latencies_s])

    def unchanged(self, messages: int) -> None:
        self._unchanged.inc(messages)

    def released(self, reason: str, messages: int) -> None:
        self._released.labels(reason).inc(messages)

    def transaction_ended(self, outcome: str) -> None:
        self._transactions.labels(outcome).inc()

    def offsets_moved(self) -> None:
        self._offset_moves.inc()

    def rebalanced(self, event: str, partitions: int) -> None:
        self._rebalances.labels(event).inc()
        self._assigned.inc(partitions if event == "assigned" else -partitions)

    def jumped(self, reason: JumpReason, missed: int) -> None:
        self._jumps.labels(reason).inc()
        self._missed.inc(missed)

    def in_flight(self, messages: int, size_bytes: int) -> None:
        self._in_flight_messages.set(messages)
        self._in_flight_bytes.set(size_bytes)

    def queue_depth(self, queue: str, depth: int) -> None:
        self._queue_depth(queue).set(depth)

    def paused(self, paused: bool) -> None:
        self._paused.set(paused)

    def lag(self, lags: Mapping[TopicPartition, int]) -> None:
        self._freshness.seen(lags)
        self._lag.show(lags)

    def ends(
        self, stable: Mapping[TopicPartition, int], high: Mapping[TopicPartition, int]
    ) -> None:
        self._stable.show(stable)
        self._high.show(high)

    def run_progress(self, progress: RunProgress) -> None:
        self._run_offsets.set(progress.state.total)
        self._run_done.set(progress.state.done)
        self._run_left.set(math.inf if progress.left_s is None else progress.left_s)

    def partitions_moved(self, partitions: Sequence[TopicPartition], at: float) -> None:
        self._freshness.moved(partitions, at)

    def partitions_dropped(self, partitions: Sequence[TopicPartition]) -> None:
        self._freshness.forget(partitions)
        for gauge in (self._lag, self._high, self._stable):
            gauge.forget(partitions)
