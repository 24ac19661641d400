"""A tagger's messages held against gold labels: articles in, its entities as labels of words out.

The articles go through the tagger as the worker's do, so what is scored is what a reader of the
output topic gets. No torch here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from consumer.contracts.errors import ModelError, RejectedMessage
from consumer.contracts.messages import (
    Article,
    Encoding,
    Entity,
    Position,
    PreparedArticle,
    RawMessage,
    TaggingResult,
    TextField,
    TopicPartition,
)
from consumer.contracts.schemes import OUTSIDE
from consumer.evaluation.conll import LabelledArticle, Sentence
from consumer.evaluation.scoring import Score, entity_spans

#: Characters of the articles that are tagged together: some seconds of a small model on a CPU, so
#: that progress is seen, and far more than a forward pass takes.
CALL_CHARACTERS = 16_384

_FIELD = "body"

A = TypeVar("A")


class Tagger(Protocol):
    """The part of `consumer.tagging.tagger.Tagger` that is used here."""

    def encode(self, articles: Sequence[Article]) -> Sequence[Encoding]:
        """Tokenise articles."""
        ...

    def tag(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> TaggingResult:
        """Run the model."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a tagger makes of labelled articles.

    Attributes:
        gold, predicted: IOB2 labels of each sentence, in the same order and of the same lengths.
        by_characters: entities counted as right only if their first and last character are those
            of the gold ones; a word's label says nothing of an entity that ends inside it.
        tokens: tokens that the model read, special tokens and overlaps of windows included.
    """

    gold: tuple[tuple[str, ...], ...]
    predicted: tuple[tuple[str, ...], ...]
    by_characters: Score
    tokens: int


def sentences_apart(articles: Iterable[LabelledArticle]) -> tuple[LabelledArticle, ...]:
    """Each sentence as an article of its own."""
    return tuple(
        LabelledArticle((sentence,)) for article in articles for sentence in article.sentences
    )


def joined(articles: Iterable[LabelledArticle], words: int) -> tuple[LabelledArticle, ...]:
    """Consecutive articles as one, until it has at least so many words; the last may be shorter."""
    longer: list[LabelledArticle] = []
    sentences: list[Sentence] = []
    for article in articles:
        sentences += article.sentences
        if sum(map(len, sentences)) >= words:
            longer.append(LabelledArticle(tuple(sentences)))
            sentences = []
    if sentences:
        longer.append(LabelledArticle(tuple(sentences)))
    return tuple(longer)


def evaluate_tagger(
    tagger: Tagger, articles: Sequence[LabelledArticle], on_progress: Callable[[int], None]
) -> Evaluation:
    """Tag articles and lay their entities over the words. Blocks until all are tagged.

    Args:
        on_progress: called with the number of articles that are done.

    Raises:
        ModelError: an article cannot be tagged; a score without it would be of another corpus.
    """
    predicted: list[tuple[str, ...]] = []
    correct = found = wanted = tokens = done = 0
    for call in calls_of(articles, lambda article: len(article.text), CALL_CHARACTERS):
        texts = [_as_article(article, done + index) for index, article in enumerate(call)]
        encodings = tagger.encode(texts)
        prepared = [PreparedArticle(*pair) for pair in zip(texts, encodings, strict=True)]
        result = tagger.tag(prepared, lambda: None)
        for article, answer in zip(call, result.answers, strict=True):
            done += 1
            if isinstance(answer, RejectedMessage):
                raise ModelError(
                    f"article {done} of {len(articles)} cannot be tagged: {answer.message}"
                )
            predicted += word_labels(article, answer)
            spans = {(entity.type, entity.start, entity.end) for entity in answer}
            gold_spans = _character_spans(article)
            correct += len(spans & gold_spans)
            # Not of the set: the strategy `none` may give one span twice.
            found += len(answer)
            wanted += len(gold_spans)
        tokens += result.tokens
        on_progress(done)
    return Evaluation(
        gold=tuple(sentence.labels for article in articles for sentence in article.sentences),
        predicted=tuple(predicted),
        by_characters=Score(correct, found, wanted),
        tokens=tokens,
    )


def word_labels(article: LabelledArticle, entities: Iterable[Entity]) -> list[tuple[str, ...]]:
    """IOB2 labels for the words of each sentence.

    A word has the type of the entity that holds its first character, as models of words are
    scored by a word's first sub-word; so an entity that begins inside a word counts from the next
    word on. Two neighbours of one type stay two.

    Args:
        entities: of `article.text`, in the order of the text.
    """
    ordered = sorted(entities, key=lambda entity: entity.start)
    sentences: list[tuple[str, ...]] = []
    at = 0
    for spans in _word_spans(article):
        labels: list[str] = []
        last: Entity | None = None
        for start, _ in spans:
            while at < len(ordered) and ordered[at].end <= start:
                at += 1
            entity = ordered[at] if at < len(ordered) and ordered[at].start <= start else None
            if entity is None:
                labels.append(OUTSIDE)
            else:
                labels.append(f"{'I' if entity is last else 'B'}-{entity.type}")
            last = entity
        sentences.append(tuple(labels))
    return sentences


def calls_of(
    articles: Iterable[A], characters_of: Callable[[A], int], most: int
) -> Iterator[list[A]]:
    """Articles that are tagged together: consecutive ones of so many characters at most, or one."""
    call: list[A] = []
    characters = 0
    for article in articles:
        size = characters_of(article)
        if call and characters + size > most:
            yield call
            call, characters = [], 0
        call.append(article)
        characters += size
    if call:
        yield call


def _as_article(article: LabelledArticle, number: int) -> Article:
    raw = RawMessage(Position(TopicPartition("", 0), number), None, b"", (), None, 0)
    return Article(raw, str(number), (TextField(_FIELD, article.text),))


def _word_spans(article: LabelledArticle) -> Iterator[list[tuple[int, int]]]:
    """Start and end of each word in `article.text`, sentence by sentence."""
    at = 0
    for sentence in article.sentences:
        ends = list(itertools.accumulate(sentence.words, lambda end, w: end + 1 + len(w),
                                         initial=at - 1))[1:]  # fmt: skip
        yield [(end - len(word), end) for word, end in zip(sentence.words, ends, strict=True)]
        at = ends[-1] + 1


def _character_spans(article: LabelledArticle) -> set[tuple[str, int, int]]:
    return {
        (span.type, words[span.start][0], words[span.end - 1][1])
        for sentence, words in zip(article.sentences, _word_spans(article), strict=True)
        for span in entity_spans(sentence.labels)
    }
