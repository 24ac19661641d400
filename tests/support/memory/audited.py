"""Inputs and their right outcomes, as the worker writes them, to plant faults in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.audit.audit import Audit, Role
from consumer.audit.findings import Findings, Kind, Unsaid
from consumer.audit.ranges import Range, Ranges, contain
from consumer.codec.article_codec import Codec
from consumer.codec.json_comparison import JsonComparison
from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.headers import with_source
from consumer.contracts.messages import (
    Article,
    Headers,
    Position,
    RawMessage,
    Rejected,
    TaggedArticle,
    Tombstone,
    TopicPartition,
)
from consumer.pipeline.dead_letters import dead_letter
from tests.support.fakes import MODEL

OUT, DEAD = "out", "dead"
CODEC = Codec(("title", "body"))


def article(number: int) -> bytes:
    return b'{"id":"%d", "title":"Rain in Oslo" }' % number


def given(
    number: int,
    value: bytes | None = b"",
    *,
    topic: str = "news",
    partition: int = 0,
    key: bytes | None = b"k",
    headers: Headers = (("desk", b"1"),),
    timestamp_ms: int | None = 1_700_000_000_000,
) -> RawMessage:
    """An input: an article, unless there is another value."""
    position = Position(TopicPartition(topic, partition), number)
    value = article(number) if value == b"" else value
    return RawMessage(position, key, value, headers, timestamp_ms, 0)


def outcome_of(raw: RawMessage, offset: int = 0, partition: int = 0) -> tuple[Role, RawMessage]:
    """What the worker makes of an input, where it stands in its topic."""
    try:
        decoded = CODEC.decode(raw)
    except RejectedMessage as reason:
        return Role.DEAD_LETTERS, letter_of(raw, RejectCode(reason.code), offset, partition)
    value = None
    if not isinstance(decoded, Tombstone):
        assert isinstance(decoded, Article)
        value = CODEC.encode(TaggedArticle(decoded, (), 1, MODEL), 1_000)
    position = Position(TopicPartition(OUT, partition), offset)
    return Role.OUTPUT, raw._replace(
        position=position, value=value, headers=tuple(with_source(raw.headers, raw.position))
    )


def letter_of(
    raw: RawMessage,
    code: RejectCode = RejectCode.TOO_LARGE,
    offset: int = 0,
    partition: int = 0,
    stage: RejectStage = RejectStage.PREPARE,
) -> RawMessage:
    """Its dead letter."""
    letter = dead_letter(Rejected(raw, code, "why", stage), DEAD, None, "1.0")
    position = Position(TopicPartition(DEAD, partition), offset)
    headers = tuple(with_source(letter.headers, raw.position))
    return raw._replace(position=position, headers=headers, timestamp_ms=letter.timestamp_ms)


@dataclass
class Log:
    """Inputs, and what stands in the output and dead-letter topics, in order."""

    inputs: list[RawMessage]
    outcomes: list[tuple[Role, RawMessage]] = field(default_factory=list)
    exactly_once: bool = True
    own_time: bool = True
    compacted: Sequence[str] = ()

    @classmethod
    def of(cls, inputs: Iterable[RawMessage], **more: bool) -> Log:
        """A log in which every input has its right outcome."""
        log = cls(list(inputs), **more)  # type: ignore[arg-type]
        log.outcomes = [outcome_of(raw, offset) for offset, raw in enumerate(log.inputs)]
        return log

    def ranges(self) -> dict[TopicPartition, Range]:
        """All inputs."""
        ends: dict[TopicPartition, Range] = {}
        for raw in self.inputs:
            ends[raw.position.topic_partition] = Range(0, raw.position.offset + 1)
        return ends

    def found(self) -> dict[Kind, list[int]]:
        """The offsets of the inputs with which something is wrong."""
        found = self.audited(most=10_000).kept
        return {kind: [one.input.offset for one in many] for kind, many in found.items()}

    def audited(
        self,
        gaps: Iterable[Unsaid] = (),
        most: int = 20,
        part: Ranges | None = None,
        ends: Mapping[TopicPartition, int] | None = None,
        tells_beyond: bool = True,
    ) -> Findings:
        """What an audit finds.

        Args:
            gaps: at the beginning of their partitions.
            part: of the inputs; None takes all.
            ends: of the partitions of inputs.
            tells_beyond: whether outcomes of inputs beyond them are told of.
        """
        about = self.ranges() if part is None else part
        audit = Audit(
            about,
            JsonComparison(),
            exactly_once=self.exactly_once,
            compacted=self.compacted,
            most=most,
            ends=ends,
            tells_beyond=tells_beyond,
        )
        for raw in self.inputs:
            if contain(about, raw.position):
                audit.note_input(raw)
        for gap in gaps:
            audit.note_outcome_gap(gap)
        for role, raw in self.outcomes:
            audit.note_outcome(role, raw, self.own_time)
        return audit.finish()
