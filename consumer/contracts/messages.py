"""What travels through the worker: immutable values, in the order in which they come to be.

``RawMessage`` -> ``Article`` -> ``PreparedArticle`` -> ``Batch`` -> ``TaggedArticle``, or at any
point ``Rejected``; what is ``Untagged``, ``Unchanged`` or a ``Tombstone`` passes by. None of them
knows Kafka, torch or a thread.

What there is one of for every message, or many, is a named tuple: made in a third of the time of a
frozen dataclass, and hashed in a fifth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from consumer.contracts.choices import DropReason, RejectCode, RejectStage, SkipReason, TextFormat
from consumer.contracts.errors import RejectedMessage

#: Headers as Kafka has them: a name may repeat, a value may be null, the order counts.
Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


#: Makes a named tuple of all of its values, in their order: `made(Position, (partition, 7))`. By
#: its own way, a function that fills in defaults, it would take twice as long. For what there is
#: one of a message, or many.
made = tuple.__new__


class TopicPartition(NamedTuple):
    """One partition of one topic; in a sentence, `articles[3]`."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Position(NamedTuple):
    """Where an input message stands: its partition and its offset in it; in a sentence,
    `articles[3]@1041`."""

    topic_partition: TopicPartition
    offset: int

    def __str__(self) -> str:
        return f"{self.topic_partition}@{self.offset}"


class Trace(Protocol):
    """Where a span stands, for log lines."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        ...

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        ...


class ArticleTrace(Trace, Protocol):
    """The span of one message from poll to commit. It travels with the message, so that one thread
    at a time calls it. No method raises or blocks."""

    def prepared(self, seconds: float) -> None:
        """Its chunk was decoded and tokenised just now, and that took so long."""

    def sending(self, topic: str, headers: Headers) -> Headers:
        """It leaves for this topic; gives the headers with the context that a reader continues."""
        ...

    def resolved(self, outcome: Outcome) -> None:
        """It was sent with this outcome, which is not final yet."""

    def committed(self) -> None:
        """Its outcome is final: the span ends."""

    def released(self, why: str) -> None:
        """It was let go without an outcome and is read again: the span ends."""


class RawMessage(NamedTuple):
    """One message as it came from Kafka.

    Attributes:
        position: where it stands.
        key, value: its bytes; a null value is a tombstone.
        headers: its headers, as far as they can be carried.
        timestamp_ms: milliseconds since the epoch, or None where Kafka gives none.
        assignment: number of the assignment of its partition under which it was read. It grows
            with every assignment and every rewind, so that work from before is told apart.
        has_unreadable_headers: whether a header's name cannot be carried; `headers` is without it.
        trace: its span, where it is traced.
        size_bytes: what it counts against `in_flight_bytes`: key, value and header values.
    """

    position: Position
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None
    assignment: int
    has_unreadable_headers: bool = False
    trace: ArticleTrace | None = None

    @property
    def size_bytes(self) -> int:
        size = 0
        if self.value is not None:
            size = len(self.value)
        if self.key is not None:
            size += len(self.key)
        for name, value in self.headers:
            size += len(name) + len(value or b"")
        return size


class TextSource(Protocol):
    """How the text of a field comes from what stands in the message: mark-up, references."""

    @property
    def text_format(self) -> TextFormat:
        """What stands in the message."""
        ...

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """Where a piece of the text stands in the field as it came in.

        Args:
            start, end: code points of the text; end is exclusive.
        """
        ...

    def parts(self, start: int, end: int) -> Sequence[tuple[int, int]]:
        """A piece of the text, cut where a sentence ends for a reason that the text does not show,
        and grown to what can be said in the field as it came in.

        Args:
            start, end: code points of the text, as those that come back.
        """
        ...

    def read(self, start: int, end: int) -> str:
        """The text of a piece of the field.

        Args:
            start, end: code points of the field as it came in.
        """
        ...


class TextField(NamedTuple):
    """A non-empty piece of text of an article.

    Attributes:
        name: the field's name, or its JSON Pointer (RFC 6901) where the setting was a path.
        text: what is tagged; exactly as it came in where `source` is None.
        source: where the text stands in the field as it came in; None where it is that field.
    """

    name: str
    text: str
    source: TextSource | None = None


class Article(NamedTuple):
    """A checked article: its id and its non-empty texts, in the order of `text_fields` and then of
    the message.

    Attributes:
        id: empty where the settings ask for none.
        has_reserved_fields: whether something already stands where the output has `entities` and
            `tagging`; it is replaced.
        language: BCP 47 tag as it was given or detected; empty where none is known.
        document: the parsed message, for formats that are written anew; None for JSON, whose
            bytes are kept.
    """

    raw: RawMessage
    id: str
    fields: tuple[TextField, ...]
    has_reserved_fields: bool = False
    language: str = ""
    document: Any = None


class Untagged(NamedTuple):
    """A message that passes without being tagged: written with no entities and the reason."""

    article: Article
    reason: SkipReason

    @property
    def raw(self) -> RawMessage:
        return self.article.raw


class Encoding(Protocol):
    """An article's text in tokens; made and read by the tagger, weighed by the batcher."""

    @property
    def tokens(self) -> int:
        """Tokens that the device computes for this article, with special tokens and overlaps."""
        ...


class PreparedArticle(NamedTuple):
    """An article with its encoding, ready for a batch."""

    article: Article
    encoding: Encoding

    @property
    def raw(self) -> RawMessage:
        return self.article.raw


class Entity(NamedTuple):
    """One named entity.

    Attributes:
        field: `TextField.name` of the text that it stands in.
        type: the model's label without its B-/I- prefix (PER, ORG, LOC, MISC).
        text: the surface, `field_text[start:end]`, always.
        start, end: Unicode code points of that field exactly as it came in; end is exclusive.
        score: the model's probability for the label, 0 to 1.
    """

    field: str
    type: str
    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model answers, for the `tagging` object of a message and for the metrics.

    Attributes:
        name: hub id, folder name or `bundled`.
        revision: commit of the hub repository, or a digest of the folder's weights.
        device, dtype: where and in which precision it runs (`cpu`, `cuda:0`; `float32`).
        types: entity types that it can answer with, sorted.
        scheme: the scheme in which its labels were read (`consumer.contracts.schemes.Scheme`).
        outside: its labels for words in no entity, as it spells them.
        answers: `exact` where an article's scores are the same to the last bit whatever else is in
            its batch, `rounded` where their last digits may differ. See docs/reference/accuracy.md.
    """

    name: str
    revision: str
    device: str
    dtype: str
    types: tuple[str, ...]
    scheme: str = "IOB"
    outside: tuple[str, ...] = ("O",)
    answers: str = "exact"


#: What a tagger says of one article: its entities, or why it cannot be tagged.
Answer: TypeAlias = tuple[Entity, ...] | RejectedMessage


@dataclass(frozen=True, slots=True)
class ModelShare:
    """What one model did in one run of the tagger.

    Attributes:
        model: which.
        tokens: tokens that its articles have (overlaps and special tokens included).
        computed_tokens: tokens that the device computed; the rest above `tokens` is padding.
        out_of_memory_splits: how often its windows had to be run in halves.
    """

    model: ModelInfo
    tokens: int
    computed_tokens: int
    out_of_memory_splits: int = 0


@dataclass(frozen=True, slots=True)
class TaggingResult:
    """What one run of the tagger gives for a list of prepared articles.

    Attributes:
        answers: one for each article, in order.
        models: which model answered, one for each article, in order.
        shares: what each model did that had an article, each once.
        dropped: entities that were found and are in no answer, by reason.
    """

    answers: tuple[Answer, ...]
    models: tuple[ModelInfo, ...]
    shares: tuple[ModelShare, ...]
    dropped: Mapping[DropReason, int] = field(default_factory=dict)

    @classmethod
    def of_one_model(cls, answers: tuple[Answer, ...], share: ModelShare) -> TaggingResult:
        """The result where one model answered for all articles."""
        return cls(answers, (share.model,) * len(answers), (share,))

    @property
    def tokens(self) -> int:
        """Those of all models, as in `ModelShare`."""
        return sum(share.tokens for share in self.shares)

    @property
    def computed_tokens(self) -> int:
        """Those of all models, as in `ModelShare`."""
        return sum(share.computed_tokens for share in self.shares)

    @property
    def out_of_memory_splits(self) -> int:
        """Those of all models, as in `ModelShare`."""
        return sum(share.out_of_memory_splits for share in self.shares)


class TaggedArticle(NamedTuple):
    """An article with its entities, in the order of its fields and of their text, and the model
    that found them."""

    article: Article
    entities: tuple[Entity, ...]
    tokens: int
    model: ModelInfo

    @property
    def raw(self) -> RawMessage:
        return self.article.raw


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that cannot be processed, on its way to the dead-letter topic."""

    raw: RawMessage
    code: RejectCode
    message: str
    stage: RejectStage


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A message with a null value; it passes through as it is."""

    raw: RawMessage


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A message that this model has tagged before; its bytes pass through as they are."""

    raw: RawMessage


BatchItem: TypeAlias = PreparedArticle | Rejected | Tombstone | Unchanged | Untagged
Outcome: TypeAlias = TaggedArticle | Rejected | Tombstone | Unchanged | Untagged


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole articles in the order in which they were read; one run of the tagger.

    Attributes:
        items: prepared articles, and between them, in order, the messages that no model reads.
        tokens: sum over the prepared articles.
        opened_at: clock reading, in seconds, when the first item came.
        closed_at: clock reading, in seconds, when the batch was closed.
    """

    items: tuple[BatchItem, ...]
    tokens: int
    opened_at: float
    closed_at: float


@dataclass(frozen=True, slots=True)
class TaggedBatch:
    """The outcomes of a batch, one for each of its items, in the same order."""

    outcomes: tuple[Outcome, ...]


class Outgoing(NamedTuple):
    """A message to write to Kafka.

    Attributes:
        topic: where it goes.
        partition: a fixed partition, or None where the key decides.
        position: the input message that it answers, for errors that come back later.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None
    partition: int | None
    position: Position
