"""What `nerstream evaluate` found, and its form for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consumer.contracts.messages import ModelInfo
from consumer.evaluation.confusion import Confusion, Mention, TaggingError
from consumer.evaluation.conll import CorpusStatistics
from consumer.evaluation.scoring import Score, Scores


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one evaluation.

    Attributes:
        file: as it was named.
        level: `article` or `sentence`.
        join_words: words up to which articles were joined; 0 where none were.
        statistics: of the file's gold labels.
        model: which model answered.
        aggregation, window_overlap_tokens, window_tokens: the settings that change its answers.
        tokens: tokens that it read.
        seconds: that it took.
        scores: over words, as conlleval counts.
        by_characters: over the exact characters of the messages.
        confusion: what was taken for what.
    """

    file: str
    level: str
    join_words: int
    statistics: CorpusStatistics
    model: ModelInfo
    aggregation: str
    window_overlap_tokens: int
    window_tokens: int
    tokens: int
    seconds: float
    scores: Scores
    by_characters: Score
    confusion: Confusion

    def as_dict(self, errors: int) -> dict[str, Any]:
        """The report as one JSON object, with so many of the most frequent errors."""
        return {
            **self.scores.as_dict(),
            "by_characters": self.by_characters.as_dict(),
            "confusion": _confusion_rows(self.confusion),
            "errors": [_error(*pair) for pair in self.confusion.errors[:errors]],
            "corpus": {
                "file": self.file,
                "articles": self.statistics.articles,
                "sentences": self.statistics.sentences,
                "sentences_and_articles": self.statistics.sentences + self.statistics.articles,
                "tokens": self.statistics.words,
                "entities": dict(self.statistics.entities),
            },
            "model": {
                "name": self.model.name,
                "revision": self.model.revision,
                "device": self.model.device,
                "dtype": self.model.dtype,
                "types": list(self.model.types),
                "scheme": str(self.model.scheme),
                "outside": list(self.model.outside),
            },
            "run": {
                "level": str(self.level),
                "join_words": self.join_words,
                "aggregation": str(self.aggregation),
                "window_overlap_tokens": self.window_overlap_tokens,
                "window_tokens": self.window_tokens,
                "model_tokens": self.tokens,
                "seconds": round(self.seconds, 3),
            },
        }


def _confusion_rows(confusion: Confusion) -> dict[str, dict[str, int]]:
    """Rows are gold, columns predicted; `other_edges` and `nothing` stand on both sides."""
    rows = {
        gold: {
            **{name: confusion.same_words[gold, name] for name in confusion.types},
            "other_edges": confusion.gold_other_edges[gold],
            "nothing": confusion.gold_missed[gold],
        }
        for gold in confusion.types
    }
    rows["other_edges"] = {name: confusion.predicted_other_edges[name] for name in confusion.types}
    rows["nothing"] = {name: confusion.predicted_spurious[name] for name in confusion.types}
    return rows


def _error(error: TaggingError, count: int) -> dict[str, Any]:
    return {
        "kind": str(error.kind),
        "gold": _mention(error.gold),
        "predicted": _mention(error.predicted),
        "count": count,
    }


def _mention(mention: Mention | None) -> dict[str, str] | None:
    return None if mention is None else {"type": mention.type, "text": mention.text}
