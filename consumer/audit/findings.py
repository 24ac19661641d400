"""What an audit finds: what is wrong, one by one and counted, and what nobody can say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from consumer.contracts.messages import Position, TopicPartition


class Kind(StrEnum):
    """What can be wrong."""

    LOST = "lost"  # an input without an outcome
    DOUBLED = "doubled"  # one more outcome of an input that has one
    REORDERED = "reordered"  # an outcome behind that of a later input, in the same partition
    ALTERED = "altered"  # an outcome that is not its input's bytes beside what is added
    INVENTED = "invented"  # an outcome of an input that is not there


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        kind: what.
        input: where the input stands.
        outcome: where the outcome stands; None where there is none.
        said: what was found, for a person.
    """

    kind: Kind
    input: Position
    outcome: Position | None
    said: str


class Reason(StrEnum):
    """Why something cannot be said."""

    REMOVED = "removed"  # retention or DeleteRecords took it
    SKIPPED = "skipped"  # it was not asked for
    COMPACTED = "compacted"  # the topic keeps the newest message of a key only
    UNNAMED = "unnamed"  # messages that name no input, such as an older version's
    OPEN = "open"  # an open transaction holds what comes after
    UNCOMMITTED = "uncommitted"  # the group has committed nothing in this partition


class Unsaid(NamedTuple):
    """Offsets of a partition of which nothing can be said.

    Attributes:
        partition: of an input topic, the output or the dead letters.
        start, end: the offsets; the end is not one of them.
    """

    reason: Reason
    partition: TopicPartition
    start: int
    end: int


@dataclass(slots=True)
class Findings:
    """What an audit, or a part of one, has found.

    Attributes:
        most: findings of a kind that are kept; all are counted.
        inputs: messages that were held against their outcomes.
        enriched, tombstones: outcomes of theirs in the output topic.
        dead_letters: by code.
        counts: how many of each kind; kept: the first of each.
        unsaid: what cannot be said of whole stretches.
        unsaid_inputs: inputs without an outcome that may have had one where `unsaid` is.
        foreign: messages among the dead letters that are no outcome, of another writer;
            kept_foreign: where the first of them stand.
    """

    most: int
    inputs: int = 0
    enriched: int = 0
    tombstones: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    counts: Counter[Kind] = field(default_factory=Counter)
    kept: dict[Kind, list[Finding]] = field(default_factory=dict)
    unsaid: list[Unsaid] = field(default_factory=list)
    unsaid_inputs: int = 0
    foreign: int = 0
    kept_foreign: list[Position] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """One more."""
        self.counts[finding.kind] += 1
        kept = self.kept.setdefault(finding.kind, [])
        if len(kept) < self.most:
            kept.append(finding)

    def add_foreign(self, position: Position) -> None:
        """One more message that is no outcome."""
        self.foreign += 1
        if len(self.kept_foreign) < self.most:
            self.kept_foreign.append(position)

    def add_all(self, other: Findings) -> None:
        """Those of another part, which has read the same outcomes."""
        self.inputs += other.inputs
        self.enriched += other.enriched
        self.tombstones += other.tombstones
        self.dead_letters += other.dead_letters
        self.counts += other.counts
        self.unsaid_inputs += other.unsaid_inputs
        for kind, found in other.kept.items():
            kept = self.kept.setdefault(kind, [])
            kept += found[: self.most - len(kept)]
        self.unsaid += [one for one in other.unsaid if one not in self.unsaid]
        # Not of single inputs: each part finds all of them.
        self.foreign, self.kept_foreign = other.foreign, other.kept_foreign

    def wrong(self, kinds: Sequence[Kind] = tuple(Kind)) -> bool:
        """Whether anything of these kinds was found."""
        return any(self.counts[kind] for kind in kinds)
