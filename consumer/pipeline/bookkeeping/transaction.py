"""Transaction: counts what the open one holds, until it is committed or aborted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from consumer.contracts.choices import RejectCode, SkipReason
from consumer.contracts.messages import (
    Outcome,
    RawMessage,
    Rejected,
    TaggedArticle,
    Unchanged,
    Untagged,
)


@dataclass(slots=True)
class Transaction:
    """Counts the messages of one transaction, or what at_least_once commits at once.

    Attributes:
        opened_at: clock reading in seconds.
        messages, size_bytes: what it holds of the in-flight bound, sent or not.
        published, tombstones, rejected: messages by the outcome that they have in the end.
        unchanged: those of the published that passed as they were.
        untagged: those of the published that passed without being tagged, by reason.
        entities: entities of the published articles, by type.
        timestamps_ms: Kafka's timestamps of the messages that have one.
        traced: the messages that are traced.
    """

    opened_at: float
    messages: int = 0
    size_bytes: int = 0
    published: int = 0
    tombstones: int = 0
    unchanged: int = 0
    rejected: Counter[RejectCode] = field(default_factory=Counter)
    untagged: Counter[SkipReason] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)
    timestamps_ms: list[int] = field(default_factory=list)
    traced: list[RawMessage] = field(default_factory=list)

    def join(self, raw: RawMessage) -> None:
        """Note that the message belongs to this transaction from now on."""
        self.messages += 1
        self.size_bytes += raw.size_bytes
        if raw.timestamp_ms is not None:
            self.timestamps_ms.append(raw.timestamp_ms)
        if raw.trace is not None:
            self.traced.append(raw)

    def sent(self, outcome: Outcome) -> None:
        """Note that a message which joined was sent with this outcome."""
        if self.traced:
            trace = outcome.raw.trace
            if trace is not None:
                trace.resolved(outcome)
        if isinstance(outcome, TaggedArticle):
            self.published += 1
            for entity in outcome.entities:
                self.entities[entity.type] += 1
        elif isinstance(outcome, Rejected):
            self.rejected[outcome.code] += 1
        elif isinstance(outcome, Untagged):
            self.published += 1
            self.untagged[outcome.reason] += 1
        elif isinstance(outcome, Unchanged):
            self.published += 1
            self.unchanged += 1
        else:
            self.tombstones += 1
