"""Precision, recall and F1 over whole entities.

An entity counts as found only if its type, its first and its last word are all
as in the gold labels. Runs of labels are read as the shared task's script reads
them (conlleval.pl, Tjong Kim Sang & De Meulder 2003; seqeval's default mode
counts the same): ``B-`` opens an entity, and so does an ``I-`` that follows
``O`` or another type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """An entity as words ``start`` to ``end`` (exclusive) of one sentence."""

    type: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of entities, and the fractions (0 to 1) that follow from them."""

    correct: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """Share of the predicted entities that are right; 0 if none was predicted."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold entities that were found; 0 if there is none."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 if nothing is right."""
        total = self.predicted + self.gold
        return 2 * self.correct / total if total else 0.0

    def as_dict(self) -> dict[str, float | int]:
        """Fractions and counts for machine-readable output."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "correct": self.correct,
            "predicted": self.predicted,
            "gold": self.gold,
        }


@dataclass(frozen=True, slots=True)
class Scores:
    """The micro-averaged score over all entities, and one for each type, sorted."""

    overall: Score
    by_type: tuple[tuple[str, Score], ...]

    def as_dict(self) -> dict[str, object]:
        """``overall`` and ``by_type`` for machine-readable output."""
        return {
            "overall": self.overall.as_dict(),
            "by_type": {name: score.as_dict() for name, score in self.by_type},
        }


def entity_spans(labels: Sequence[str]) -> tuple[Span, ...]:
    """Entities of one sentence, in order, from its B-/I-/O labels."""
    spans: list[Span] = []
    open_type = ""
    start = 0
    for index, label in enumerate(labels):
        prefix, _, entity_type = label.partition("-")
        if open_type and (prefix != "I" or entity_type != open_type):
            spans.append(Span(open_type, start, index))
            open_type = ""
        if entity_type and not open_type:
            open_type, start = entity_type, index
    if open_type:
        spans.append(Span(open_type, start, len(labels)))
    return tuple(spans)


def score_labels(gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> Scores:
    """Scores of predicted labels, sentence by sentence.

    Args:
        gold: labels of each sentence.
        predicted: the same sentences in the same order, with as many labels.

    Raises:
        ValueError: the two differ in their number of sentences or words.
    """
    correct: Counter[str] = Counter()
    predicted_counts: Counter[str] = Counter()
    gold_counts: Counter[str] = Counter()
    for index, (gold_labels, predicted_labels) in enumerate(zip(gold, predicted, strict=True)):
        if len(gold_labels) != len(predicted_labels):
            raise ValueError(
                f"sentence {index} has {len(gold_labels)} gold labels "
                f"and {len(predicted_labels)} predicted ones"
            )
        gold_spans = set(entity_spans(gold_labels))
        predicted_spans = set(entity_spans(predicted_labels))
        gold_counts.update(span.type for span in gold_spans)
        predicted_counts.update(span.type for span in predicted_spans)
        correct.update(span.type for span in gold_spans & predicted_spans)
    types = sorted(gold_counts.keys() | predicted_counts.keys())
    return Scores(
        overall=Score(correct.total(), predicted_counts.total(), gold_counts.total()),
        by_type=tuple(
            (name, Score(correct[name], predicted_counts[name], gold_counts[name]))
            for name in types
        ),
    )
