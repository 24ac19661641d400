"""Entities of running text as labels of words, and the counts that follow from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import ModelError, RejectedMessage
from consumer.contracts.messages import (
    Article,
    Encoding,
    Entity,
    ModelShare,
    PreparedArticle,
    TaggingResult,
)
from consumer.evaluation.articles import evaluate_tagger, joined, sentences_apart, word_labels
from consumer.evaluation.conll import LabelledArticle, Sentence, to_iob2
from consumer.evaluation.scoring import Score, entity_spans, score_labels
from tests.support.fakes import MODEL
from tests.support.models.tiny_models import SENTENCES, article, tiny_tagger

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-work-of-art", "I-work-of-art")


def sentence(words: str, labels: str) -> Sentence:
    return Sentence(tuple(words.split()), tuple(labels.split()))


def entity(text: str, surface: str, kind: str = "PER", nth: int = 0) -> Entity:
    start = -1
    for _ in range(nth + 1):
        start = text.index(surface, start + 1)
    return Entity("body", kind, surface, start, start + len(surface), 0.9)


class GivenTagger:
    """Answers each article with the entities that it was given for its text."""

    def __init__(self, answers: dict[str, tuple[Entity, ...] | RejectedMessage]) -> None:
        self._answers = answers
        self.calls: list[int] = []

    def encode(self, articles: Sequence[Article]) -> list[Encoding]:
        return [_Encoding(len(one.fields[0].text.split())) for one in articles]

    def tag(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> TaggingResult:
        self.calls.append(len(articles))
        progress()
        answers = tuple(self._answers[item.article.fields[0].text] for item in articles)
        tokens = sum(item.encoding.tokens for item in articles)
        return TaggingResult.of_one_model(answers, ModelShare(MODEL, tokens, tokens))


class _Encoding:
    def __init__(self, tokens: int) -> None:
        self.tokens = tokens


ARTICLE = LabelledArticle(
    (
        sentence("Marta Lindqvist left Lisbon-based Nordbank .", "B-PER I-PER O B-MISC B-ORG O"),
        sentence("Kotor Kotor said no", "B-LOC B-LOC O O"),
    )
)


def labels_of(*entities: Entity) -> list[str]:
    return [" ".join(labels) for labels in word_labels(ARTICLE, entities)]


def test_a_word_has_the_type_of_the_entity_at_its_first_character() -> None:
    text = ARTICLE.text
    assert labels_of(
        entity(text, "Marta Lindqvist"), entity(text, "Lisbon", "LOC"), entity(text, "based", "ORG")
    ) == ["B-PER I-PER O B-LOC O O", "O O O O"]


def test_an_entity_that_begins_inside_a_word_counts_from_the_next() -> None:
    text = ARTICLE.text
    assert labels_of(entity(text, "based Nordbank", "ORG"))[0] == "O O O O B-ORG O"


def test_two_neighbours_of_one_type_stay_two() -> None:
    text = ARTICLE.text
    two = [entity(text, "Kotor", "LOC"), entity(text, "Kotor", "LOC", nth=1)]
    assert labels_of(*two)[1] == "B-LOC B-LOC O O"
    assert labels_of(*reversed(two))[1] == "B-LOC B-LOC O O"
    assert labels_of(entity(text, "Kotor Kotor", "LOC"))[1] == "B-LOC I-LOC O O"


def test_an_entity_over_the_end_of_a_sentence_is_one_in_each() -> None:
    assert labels_of(entity(ARTICLE.text, ".\nKotor", "LOC")) == [
        "O O O O O B-LOC",
        "B-LOC O O O",
    ]


@given(data=st.data())
def test_gold_labels_come_back_from_their_own_entities(data: st.DataObject) -> None:
    word = st.sampled_from(["a", "Bo", "e\u0301x", "😀y", "l'", "."])
    sentences = []
    for _ in range(data.draw(st.integers(1, 4))):
        words = tuple(data.draw(st.lists(word, min_size=1, max_size=6)))
        drawn = data.draw(st.lists(st.sampled_from(LABELS), min_size=len(words),
                                   max_size=len(words)))  # fmt: skip
        sentences.append(Sentence(words, to_iob2(drawn)))
    article = LabelledArticle(tuple(sentences))
    entities, at = [], 0
    for item in sentences:
        starts = [at + len(" ".join(item.words[:i])) + (i > 0) for i in range(len(item.words))]
        for span in entity_spans(item.labels):
            end = starts[span.end - 1] + len(item.words[span.end - 1])
            start = starts[span.start]
            entities.append(Entity("body", span.type, article.text[start:end], start, end, 1.0))
        at += len(" ".join(item.words)) + 1
    assert tuple(word_labels(article, entities)) == tuple(item.labels for item in sentences)
    tagger = GivenTagger({article.text: tuple(entities)})
    found = evaluate_tagger(tagger, [article], lambda _: None)
    assert found.gold == found.predicted
    assert found.by_characters == Score(len(entities), len(entities), len(entities))


def test_an_entity_of_other_characters_is_right_by_words_and_wrong_by_characters() -> None:
    text = ARTICLE.text
    tagger = GivenTagger({text: (entity(text, "Marta Lindqvist"), entity(text, "Lisbon", "MISC"))})
    done: list[int] = []
    found = evaluate_tagger(tagger, [ARTICLE], done.append)
    assert score_labels(found.gold, found.predicted).overall == Score(2, 2, 5)
    assert found.by_characters == Score(1, 2, 5)
    assert found.tokens == 10
    assert done == [1]


def test_articles_go_in_calls_of_a_bounded_size_and_progress_counts_articles() -> None:
    long = LabelledArticle((Sentence(("x" * 9_999, "y"), ("O", "O")),) * 2)
    short = LabelledArticle((Sentence(("z",), ("O",)),))
    tagger = GivenTagger({long.text: (), short.text: ()})
    done: list[int] = []
    found = evaluate_tagger(tagger, [short, short, long, short], done.append)
    assert tagger.calls == [2, 1, 1]
    assert done == [2, 3, 4]
    assert len(found.gold) == len(found.predicted) == 5


def test_an_article_that_cannot_be_tagged_ends_the_evaluation() -> None:
    rejection = RejectedMessage(RejectCode.NOT_A_NUMBER, "the model answered nonsense")
    short = LabelledArticle((Sentence(("z",), ("O",)),))
    tagger = GivenTagger({"z": (), ARTICLE.text: rejection})
    with pytest.raises(ModelError, match="article 2 of 3 cannot be tagged: the model answered"):
        evaluate_tagger(tagger, [short, ARTICLE, short], lambda _: None)


def test_sentences_apart_and_articles_joined_keep_every_sentence() -> None:
    articles = [ARTICLE, LabelledArticle((sentence("Rain fell", "O O"),)), ARTICLE]
    every = [item for article in articles for item in article.sentences]
    apart = sentences_apart(articles)
    assert [article.sentences for article in apart] == [(item,) for item in every]
    for words, counts in ((1, [2, 1, 2]), (11, [3, 2]), (12, [3, 2]), (13, [5]), (999, [5])):
        longer = joined(articles, words)
        assert [len(article.sentences) for article in longer] == counts
        assert [item for article in longer for item in article.sentences] == every


def test_the_tagger_of_the_worker_is_what_is_scored() -> None:
    """By the entities of the tagger itself, one article at a time."""
    draw = random.Random(3)
    words = " ".join(SENTENCES).split()
    articles = [
        LabelledArticle(
            tuple(
                Sentence(tuple(draw.choices(words, k=9)), ("B-PER", *["O"] * 8)) for _ in range(6)
            )
        )
        for _ in range(4)
    ]
    tagger = tiny_tagger()
    found = evaluate_tagger(tagger, articles, lambda _: None)
    expected: list[tuple[str, ...]] = []
    for labelled in articles:
        (encoding,) = tagger.encode([article(0, labelled.text)])
        assert len(encoding.fields[0].windows) > 1
        result = evaluate_tagger(tagger, [labelled], lambda _: None)
        expected += result.predicted
    assert list(found.predicted) == expected
    assert sum(label.startswith("B-") for labels in found.predicted for label in labels) > 20
