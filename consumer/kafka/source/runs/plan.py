"""The plan of a bounded run: where it begins and ends in each partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consumer.contracts.messages import TopicPartition
from consumer.contracts.runs import Gone, RunState
from consumer.kafka.source.runs.removals import Removals
from consumer.kafka.source.stamps import Span


@dataclass(frozen=True, slots=True)
class Found:
    """What the brokers say of one partition.

    Attributes:
        low, high: offsets of its first message and behind its last.
        begin: of the first message at the run's begin or later; None where there is none.
        end: the same of its end.
    """

    low: int
    high: int
    begin: int | None
    end: int | None

    def span(self, partitions: int, asked: str) -> Span:
        """The span; empty where the end is not behind the begin."""
        start = self.high if self.begin is None else max(self.begin, self.low)
        # What was written since `high` was asked for is no part of the run.
        end = self.high if self.end is None else min(self.end, self.high)
        return Span(start, max(start, end), partitions, asked)


class RunPlan:
    """The spans of a run, with what the group has committed. No clock, no thread, no broker.

    Args:
        spans: as they were kept beside the offsets that `note` is told of.
        removals: what this worker found gone.
    """

    def __init__(
        self, spans: Mapping[TopicPartition, Span], removals: Removals | None = None
    ) -> None:
        self.spans = dict(spans)
        self._removals = Removals() if removals is None else removals
        self._committed: dict[TopicPartition, int] = {}

    @property
    def ends(self) -> dict[TopicPartition, int]:
        """The offset at which each partition ends."""
        return {one: span.end for one, span in self.spans.items()}

    @property
    def missing(self) -> int:
        """How many partitions of the run have no offset any more: they or their topics are gone."""
        return max((span.partitions for span in self.spans.values()), default=0) - len(self.spans)

    def note(self, committed: Mapping[TopicPartition, int]) -> None:
        """The group's offsets as they are now."""
        self._committed.update(committed)

    def unfinished(self, partition: TopicPartition) -> bool:
        """Whether the group stands before the end of this partition."""
        span = self.spans.get(partition)
        return span is not None and self._committed.get(partition, -1) < span.end

    def spans_at(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Span]:
        """The spans to keep beside these offsets: each says what was gone before its offset.

        So what is gone is told by whichever worker ends the run, however many were killed before.
        """
        found = {}
        for one, offset in offsets.items():
            if (span := self.spans.get(one)) is not None:
                since = self._committed.get(one, span.start)
                more = self._removals.between(one, since, min(offset, span.end))
                found[one] = span._replace(gone=span.gone + more)
        return found

    def state(self) -> RunState:
        """How far the run is."""
        done = sum(
            min(max(self._committed.get(one, 0), span.start), span.end) - span.start - span.gone
            for one, span in self.spans.items()
        )
        total = sum(span.end - span.start - span.gone for span in self.spans.values())
        gone = tuple(
            Gone(one, span.gone, span.end - span.start)
            for one, span in sorted(self.spans.items())
            if span.gone
        )
        return RunState(done, total, not any(map(self.unfinished, self.spans)), gone)
