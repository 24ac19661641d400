"""Changing training text without changing what its labels mean."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from consumer.evaluation.scoring import entity_spans
from consumer.training.case_marks import CaseMark
from consumer.training.data import EncodedArticle, Word

#: Distinct mentions, each the sub-word ids of its words, by entity type.
Mentions = dict[str, tuple[tuple[tuple[int, ...], ...], ...]]

#: How a recased chunk is written: headlines in capitals, headlines in title case, chat.
_CASES = (CaseMark.UPPER, CaseMark.UPPER, CaseMark.CAPITALISED, None)


def collect_mentions(articles: Iterable[EncodedArticle]) -> Mentions:
    """Distinct entity mentions by type, in order of first appearance."""
    found: dict[str, dict[tuple[tuple[int, ...], ...], None]] = {}
    for article in articles:
        for sentence in article:
            for span in entity_spans([word.label for word in sentence]):
                mention = tuple(word.ids for word in sentence[span.start : span.end])
                found.setdefault(span.type, {})[mention] = None
    return {name: tuple(mentions) for name, mentions in found.items()}


def replace_mentions(
    article: EncodedArticle, mentions: Mentions, probability: float, draw: random.Random
) -> EncodedArticle:
    """The article with some mentions exchanged for others of the same type.

    Each distinct mention is exchanged with ``probability``, and then wherever it
    stands in the article, so that an article keeps speaking of one thing.
    (Mention replacement: Dai & Adel, COLING 2020.)
    """
    exchanged: dict[tuple[str, tuple[tuple[int, ...], ...]], tuple[tuple[int, ...], ...]] = {}
    sentences = []
    for sentence in article:
        words: list[Word] = []
        position = 0
        for span in entity_spans([word.label for word in sentence]):
            words.extend(sentence[position : span.start])
            mention = tuple(word.ids for word in sentence[span.start : span.end])
            key = (span.type, mention)
            if key not in exchanged:
                exchange = draw.random() < probability
                exchanged[key] = draw.choice(mentions[span.type]) if exchange else mention
            words.extend(
                Word(ids, f"{'I' if index else 'B'}-{span.type}")
                for index, ids in enumerate(exchanged[key])
            )
            position = span.end
        words.extend(sentence[position:])
        sentences.append(tuple(words))
    return tuple(sentences)


@dataclass(frozen=True, slots=True)
class Recasing:
    """Writing words in capitals, in title case or without capitals, where case is in marks.

    Attributes:
        marks: the ids of the marks.
        has_case: for each id whether it is a piece of letters, to which a mark may be added.
    """

    marks: Mapping[CaseMark, int]
    has_case: Sequence[bool]

    def recase(self, words: Sequence[Word], draw: random.Random) -> tuple[Word, ...]:
        """All words in one way, drawn."""
        case = draw.choice(_CASES)
        return tuple(Word(self._ids(word.ids, case), word.label) for word in words)

    def _ids(self, ids: tuple[int, ...], case: CaseMark | None) -> tuple[int, ...]:
        marks = set(self.marks.values())
        bare = tuple(one for one in ids if one not in marks)
        if case is None or not bare or not self.has_case[bare[-1]]:
            return bare
        if case is CaseMark.CAPITALISED and len(bare) < len(ids):
            return ids
        return (*bare, self.marks[case])


def mask_words(
    words: Sequence[Word],
    probability: float,
    mask_id: int,
    kept: frozenset[int],
    draw: random.Random,
) -> tuple[Word, ...]:
    """Each word exchanged for as many mask tokens with ``probability``, so that its label must be
    read from what stands around it; the ids of ``kept`` (marks of case) stay."""
    return tuple(
        Word(tuple(one if one in kept else mask_id for one in word.ids), word.label)
        if draw.random() < probability
        else word
        for word in words
    )
