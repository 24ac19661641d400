"""An observer that adds up what it is told."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from consumer.contracts.choices import (
    JumpReason,
    RebalanceEvent,
    RejectCode,
    ReleaseReason,
    SkipReason,
    TransactionOutcome,
)
from consumer.contracts.messages import TaggingResult, TopicPartition
from consumer.contracts.runs import RunProgress


class FakeObserver:
    """Adds up what it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.consumed_messages = 0
        self.consumed_bytes = 0
        self.published = 0
        self.tombstones = 0
        self.rejected: Counter[RejectCode] = Counter()
        self.untagged: Counter[SkipReason] = Counter()
        self.entities: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self.releases: Counter[ReleaseReason] = Counter()
        self.transactions: Counter[TransactionOutcome] = Counter()
        self.rebalances: list[tuple[RebalanceEvent, int]] = []
        self.offset_moves = 0
        self.jumps: list[tuple[JumpReason, int]] = []
        self.batches: list[tuple[int, int, float]] = []
        self.results: list[TaggingResult] = []
        self.pauses: list[bool] = []
        self.lags: dict[TopicPartition, int] = {}
        self.last_ends: tuple[dict[TopicPartition, int], dict[TopicPartition, int]] = ({}, {})
        self.runs: list[RunProgress] = []
        self.unchanged_messages = 0
        self.moved: dict[TopicPartition, float] = {}
        self.load = (0, 0)
        self.most_in_flight = 0
        self.steps: Counter[str] = Counter()
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)

    @property
    def resolved(self) -> int:
        """Messages that have left the worker in one way or the other."""
        final = self.published + self.tombstones + self.rejected.total()
        return final + self.releases.total()

    def consumed(self, messages: int, size_bytes: int) -> None:
        with self._lock:
            self.consumed_messages += messages
            self.consumed_bytes += size_bytes
            self.most_in_flight = max(self.most_in_flight, self.consumed_messages - self.resolved)

    def stage_seconds(self, stage: str, seconds: float) -> None:
        assert seconds >= 0
        with self._lock:
            self.steps[stage] += 1
            self.seconds[stage].append(seconds)

    def batch_closed(self, articles: int, tokens: int, waited_s: float) -> None:
        self.batches.append((articles, tokens, waited_s))

    def batch_tagged(self, result: TaggingResult) -> None:
        self.results.append(result)

    def committed(
        self,
        published: int,
        tombstones: int,
        rejected: Mapping[RejectCode, int],
        untagged: Mapping[SkipReason, int],
        entities_by_type: Mapping[str, int],
        latencies_s: Sequence[float],
    ) -> None:
        with self._lock:
            self.published += published
            self.tombstones += tombstones
            self.rejected.update(rejected)
            self.untagged.update(untagged)
            self.entities.update(entities_by_type)
            self.latencies_s.extend(latencies_s)

    def released(self, reason: ReleaseReason, messages: int) -> None:
        with self._lock:
            self.releases[reason] += messages

    def transaction_ended(self, outcome: TransactionOutcome) -> None:
        with self._lock:
            self.transactions[outcome] += 1

    def offsets_moved(self) -> None:
        self.offset_moves += 1

    def rebalanced(self, event: RebalanceEvent, partitions: int) -> None:
        self.rebalances.append((event, partitions))

    def jumped(self, reason: JumpReason, missed: int) -> None:
        self.jumps.append((reason, missed))

    def in_flight(self, messages: int, size_bytes: int) -> None:
        self.load = (messages, size_bytes)

    def queue_depth(self, queue: str, depth: int) -> None:
        assert queue in {"incoming", "batches", "tagged"}
        assert depth >= 0

    def paused(self, paused: bool) -> None:
        self.pauses.append(paused)

    def lag(self, lags: Mapping[TopicPartition, int]) -> None:
        self.lags = dict(lags)

    def ends(
        self, stable: Mapping[TopicPartition, int], high: Mapping[TopicPartition, int]
    ) -> None:
        self.last_ends = (dict(stable), dict(high))

    def unchanged(self, messages: int) -> None:
        with self._lock:
            self.unchanged_messages += messages

    def run_progress(self, progress: RunProgress) -> None:
        self.runs.append(progress)

    def partitions_moved(self, partitions: Sequence[TopicPartition], at: float) -> None:
        self.moved.update(dict.fromkeys(partitions, at))

    def partitions_dropped(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self.moved.pop(partition, None)
