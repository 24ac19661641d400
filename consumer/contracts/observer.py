"""What the pipeline tells about itself while it runs; `consumer.telemetry.metrics` listens.

Every method is quick, never raises and may be called from any stage's thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

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


class Observer(Protocol):
    """Listens to the stages. Seconds are durations, timestamps are seconds since the epoch."""

    def consumed(self, messages: int, size_bytes: int) -> None:
        """So many messages were read from the input topics."""

    def stage_seconds(self, stage: str, seconds: float) -> None:
        """A step, one of `Step`, worked so long on one unit."""

    def batch_closed(self, articles: int, tokens: int, waited_s: float) -> None:
        """A batch left for the tagger, `waited_s` after its first article came."""

    def batch_tagged(self, result: TaggingResult) -> None:
        """The tagger answered."""

    def committed(
        self,
        published: int,
        tombstones: int,
        rejected: Mapping[RejectCode, int],
        untagged: Mapping[SkipReason, int],
        entities_by_type: Mapping[str, int],
        latencies_s: Sequence[float],
    ) -> None:
        """Outcomes became final.

        Args:
            published: enriched messages, `untagged` among them.
            untagged: those that passed without being tagged, by reason.
            latencies_s: from Kafka's append time to the commit; below zero where the broker's
                clock is ahead.
        """

    def unchanged(self, messages: int) -> None:
        """So many of the published passed as they were: the model had tagged them before."""

    def released(self, reason: ReleaseReason, messages: int) -> None:
        """Messages in flight were let go; they will be consumed again, here or elsewhere."""

    def transaction_ended(self, outcome: TransactionOutcome) -> None:
        """A transaction ended."""

    def offsets_moved(self) -> None:
        """Offsets were committed without a message, past what no message shows."""

    def rebalanced(self, event: RebalanceEvent, partitions: int) -> None:
        """The group changed what is assigned here."""

    def jumped(self, reason: JumpReason, missed: int) -> None:
        """A partition could not be read on where it stood, and so many offsets were never read."""

    def in_flight(self, messages: int, size_bytes: int) -> None:
        """What is now between poll and commit."""

    def queue_depth(self, queue: str, depth: int) -> None:
        """So much now waits in a queue, one of `Queue`: messages in `incoming`, else batches."""

    def paused(self, paused: bool) -> None:
        """Back-pressure began or ended."""

    def lag(self, lags: Mapping[TopicPartition, int]) -> None:
        """Offsets between the committed position and the high watermark, of each assigned
        partition."""

    def ends(
        self, stable: Mapping[TopicPartition, int], high: Mapping[TopicPartition, int]
    ) -> None:
        """Last stable offset and high watermark of each assigned partition where it is known."""

    def run_progress(self, progress: RunProgress) -> None:
        """How far a bounded run is, at times."""

    def partitions_moved(self, partitions: Sequence[TopicPartition], at: float) -> None:
        """The positions of these partitions advanced, or they are at their end."""

    def partitions_dropped(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions are no longer assigned; forget their lag, ends and freshness."""
