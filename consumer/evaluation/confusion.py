"""What a tagger takes for what, entity by entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from consumer.evaluation.scoring import Span, entity_spans


class ErrorKind(StrEnum):
    """How an entity was missed or made up."""

    TYPE = "type"  # the right words, another type
    EDGES = "edges"  # it shares words with a gold entity, but not all
    MISSED = "missed"  # a gold entity of which no word was found
    SPURIOUS = "spurious"  # no word of it is in a gold entity


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity as type and words, joined by spaces."""

    type: str
    text: str


@dataclass(frozen=True, slots=True)
class TaggingError:
    """One kind of mistake with one pair of mentions; a missed one has no predicted mention."""

    kind: ErrorKind
    gold: Mention | None
    predicted: Mention | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """Where gold and predicted entities went.

    Attributes:
        types: those of the gold and of the predicted entities, sorted.
        same_words: (gold type, predicted type) of entities with the same words.
        gold_other_edges, gold_missed: gold entities by type that share some words with a
            predicted one, or none.
        predicted_other_edges, predicted_spurious: the same of the predicted entities.
        errors: each mistake, the most frequent first; mistakes as frequent keep the order of the
            text. A gold and a predicted entity that share words are one mistake.
    """

    types: tuple[str, ...]
    same_words: Counter[tuple[str, str]]
    gold_other_edges: Counter[str]
    gold_missed: Counter[str]
    predicted_other_edges: Counter[str]
    predicted_spurious: Counter[str]
    errors: tuple[tuple[TaggingError, int], ...]


def confusion_of(
    sentences: Iterable[Sequence[str]],
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
) -> Confusion:
    """Compare labels sentence by sentence.

    Args:
        sentences: words of each sentence.
        gold, predicted: B-/I-/O labels of the same sentences.

    Raises:
        ValueError: the three differ in their number of sentences.
    """
    same_words: Counter[tuple[str, str]] = Counter()
    gold_edges: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    predicted_edges: Counter[str] = Counter()
    spurious: Counter[str] = Counter()
    errors: Counter[TaggingError] = Counter()
    for words, gold_labels, predicted_labels in zip(sentences, gold, predicted, strict=True):
        wanted, found = entity_spans(gold_labels), entity_spans(predicted_labels)
        paired: set[Span] = set()
        for span in wanted:
            other = _closest(span, found)
            if other is None:
                missed[span.type] += 1
                errors[TaggingError(ErrorKind.MISSED, _mention(span, words), None)] += 1
                continue
            paired.add(other)
            if (other.start, other.end) != (span.start, span.end):
                gold_edges[span.type] += 1
                kind = ErrorKind.EDGES
            else:
                same_words[span.type, other.type] += 1
                kind = ErrorKind.TYPE
            if other != span:
                error = TaggingError(kind, _mention(span, words), _mention(other, words))
                errors[error] += 1
        for span in found:
            other = _closest(span, wanted)
            if other is None:
                spurious[span.type] += 1
                errors[TaggingError(ErrorKind.SPURIOUS, None, _mention(span, words))] += 1
            elif (other.start, other.end) != (span.start, span.end):
                predicted_edges[span.type] += 1
                if span not in paired:
                    error = TaggingError(
                        ErrorKind.EDGES, _mention(other, words), _mention(span, words)
                    )
                    errors[error] += 1
    types = {name for pair in same_words for name in pair}
    return Confusion(
        types=tuple(sorted(types.union(gold_edges, missed, predicted_edges, spurious))),
        same_words=same_words,
        gold_other_edges=gold_edges,
        gold_missed=missed,
        predicted_other_edges=predicted_edges,
        predicted_spurious=spurious,
        errors=tuple(errors.most_common()),
    )


def _closest(span: Span, others: Iterable[Span]) -> Span | None:
    """The one with the same words, or else the first of those that share the most."""
    best, most = None, 0
    for other in others:
        if (other.start, other.end) == (span.start, span.end):
            return other
        shared = min(span.end, other.end) - max(span.start, other.start)
        if shared > most:
            best, most = other, shared
    return best


def _mention(span: Span, words: Sequence[str]) -> Mention:
    return Mention(span.type, " ".join(words[span.start : span.end]))
