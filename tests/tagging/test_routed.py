"""Several models behind one tagger: each article has the answer of its own language's model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.contracts.errors import DeviceFailed
from consumer.contracts.messages import (
    Article,
    Encoding,
    Entity,
    ModelInfo,
    ModelShare,
    PreparedArticle,
    TaggingResult,
)
from consumer.contracts.ports import Tagger
from consumer.tagging.routed import RoutedTagger
from tests.support.fakes import FakeEncoding
from tests.support.models.tiny_models import SENTENCES, article, tag, tiny_tagger


class Scripted:
    """Finds one entity in each article, named after itself and the article; tells what it did.

    Args:
        events: what all taggers of a test did, in order.
    """

    def __init__(self, name: str, events: list[str], *, overlaps: bool = True) -> None:
        self.models = (ModelInfo(name, "r", "cpu", "float32", ("PER",)),)
        self.overlaps = overlaps
        self.encodings_at_once = 1
        self.name = name
        self._events = events

    def await_room(self) -> None:
        self._events.append(f"{self.name} room")

    def encode(self, articles: Sequence[Article]) -> list[Encoding]:
        self._events.append(f"{self.name} encode {' '.join(one.id for one in articles)}")
        return [FakeEncoding(10 + int(one.id)) for one in articles]

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        ids = " ".join(one.article.id for one in articles)
        assert all(isinstance(one.encoding, FakeEncoding) for one in articles)
        self._events.append(f"{self.name} begin {ids}")
        progress()

        def answers() -> TaggingResult:
            self._events.append(f"{self.name} finish {ids}")
            found = tuple(
                (Entity("body", "PER", f"{self.name}{one.article.id}", 0, 1, 1.0),)
                for one in articles
            )
            tokens = sum(one.encoding.tokens for one in articles)
            return TaggingResult.of_one_model(found, ModelShare(self.models[0], tokens, tokens))

        return answers


class Pair:
    """English, German and everything else, by two models."""

    def __init__(self, *, english: bool = True, other: bool = True) -> None:
        self.events: list[str] = []
        self.english = Scripted("e", self.events, overlaps=english)
        self.other = Scripted("o", self.events, overlaps=other)
        self.tagger = RoutedTagger({"en": self.english, "de": self.other, "*": self.other})

    def prepared(self, *languages: str, first: int = 0) -> list[PreparedArticle]:
        articles = [
            article(first + number, "text")._replace(language=language)
            for number, language in enumerate(languages)
        ]
        encodings = self.tagger.encode(articles)
        return [PreparedArticle(*pair) for pair in zip(articles, encodings, strict=True)]


def nothing() -> None:
    """Progress is of no interest."""


def texts(result: TaggingResult) -> list[str]:
    assert all(isinstance(answer, tuple) for answer in result.answers)
    return [answer[0].text for answer in result.answers if isinstance(answer, tuple)]


def test_each_article_has_its_own_models_answer_in_its_place() -> None:
    pair = Pair()
    batch = pair.prepared("en", "de", "", "EN-us", "fr", "en_GB")
    assert [one.encoding.tokens for one in batch] == [10, 11, 12, 13, 14, 15]
    result = pair.tagger.begin(batch, nothing)()
    assert texts(result) == ["e0", "o1", "o2", "e3", "o4", "e5"]
    assert [model.name for model in result.models] == ["e", "o", "o", "e", "o", "e"]
    shares = {share.model.name: share.tokens for share in result.shares}
    assert shares == {"e": 10 + 13 + 15, "o": 11 + 12 + 14}
    assert (result.tokens, result.computed_tokens) == (75, 75)
    # A model that stands under several languages has one share.
    assert pair.events == [
        *("e encode 0 3 5", "o encode 1 2 4"),
        *("e begin 0 3 5", "o begin 1 2 4"),
        *("e finish 0 3 5", "o finish 1 2 4"),
    ]


def test_a_model_without_a_share_is_not_asked() -> None:
    pair = Pair()
    result = pair.tagger.begin(pair.prepared("en", "en"), nothing)()
    assert texts(result) == ["e0", "e1"]
    assert pair.events == ["e encode 0 1", "e begin 0 1", "e finish 0 1"]
    assert pair.tagger.begin(pair.prepared(), nothing)() == TaggingResult((), (), ())


def test_it_tells_of_each_model_once() -> None:
    pair = Pair()
    assert [model.name for model in pair.tagger.models] == ["e", "o"]
    pair.other.encodings_at_once = 3
    assert pair.tagger.encodings_at_once == 3


def test_batches_overlap_where_a_model_does() -> None:
    pair = Pair()
    assert pair.tagger.overlaps
    first = pair.tagger.begin(pair.prepared("en", "de"), nothing)
    pair.tagger.await_room()
    second = pair.tagger.begin(pair.prepared("de", "en", first=2), nothing)
    assert texts(first()) == ["e0", "o1"]
    assert texts(second()) == ["o2", "e3"]
    assert [event for event in pair.events if "encode" not in event] == [
        *("e begin 0", "o begin 1", "e room", "o room", "e begin 3", "o begin 2"),
        *("e finish 0", "o finish 1", "e finish 3", "o finish 2"),
    ]


def test_a_model_that_does_not_overlap_begins_when_it_is_asked() -> None:
    """It would compute in `begin`, while the answers of the batch before wait."""
    pair = Pair(english=False)
    assert pair.tagger.overlaps
    first = pair.tagger.begin(pair.prepared("en", "de"), nothing)
    pair.tagger.await_room()
    second = pair.tagger.begin(pair.prepared("en", "de", first=2), nothing)
    assert texts(first()) == ["e0", "o1"]
    assert texts(second()) == ["e2", "o3"]
    assert [event for event in pair.events if "encode" not in event] == [
        *("o begin 1", "o room", "o begin 3"),
        *("e begin 0", "e finish 0", "o finish 1", "e begin 2", "e finish 2", "o finish 3"),
    ]
    assert not Pair(english=False, other=False).tagger.overlaps


def test_progress_is_told_by_every_model() -> None:
    pair = Pair()
    told: list[None] = []
    pair.tagger.begin(pair.prepared("en", "de"), lambda: told.append(None))()
    assert len(told) == 2


def test_a_language_without_a_model_is_named() -> None:
    events: list[str] = []
    tagger = RoutedTagger({"en": Scripted("e", events), "de": Scripted("d", events)})
    for language in ("fr-CA", ""):
        with pytest.raises(LookupError, match=f"language '{language}'; there is one for en, de"):
            tagger.encode([article(0, "text")._replace(language=language)])


def test_languages_that_are_written_as_one_have_one_model() -> None:
    events: list[str] = []
    tagger = RoutedTagger({"no": Scripted("n", events), "nn": Scripted("nn", events)})
    articles = [
        article(number, "text")._replace(language=language)
        for number, language in enumerate(("nb-NO", "no", "nn"))
    ]
    tagger.encode(articles)
    assert events == ["n encode 0 1", "nn encode 2"]


def test_what_another_tagger_encoded_is_refused() -> None:
    pair = Pair()
    stranger = PreparedArticle(article(0, "text"), FakeEncoding(1))
    with pytest.raises(TypeError, match="FakeEncoding"):
        pair.tagger.begin([stranger], nothing)


class Broken(Scripted):
    def begin(
        self, _articles: Sequence[PreparedArticle], _progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        raise DeviceFailed("a forward pass failed")


def test_a_device_that_fails_under_one_model_fails() -> None:
    """No answer of the other may be published: the process must end."""
    events: list[str] = []
    for overlaps in (True, False):
        tagger = RoutedTagger(
            {"en": Scripted("e", events), "de": Broken("d", events, overlaps=overlaps)}
        )
        articles = [
            article(number, "text")._replace(language=language)
            for number, language in enumerate(("en", "de"))
        ]
        batch = [
            PreparedArticle(*pair) for pair in zip(articles, tagger.encode(articles), strict=True)
        ]
        with pytest.raises(DeviceFailed):
            tagger.begin(batch, nothing)()


# --- with models


@cache
def models() -> dict[str, Tagger]:
    """Three of different tokenizers, lengths of windows, engines and labels' order."""
    return {
        "en": tiny_tagger(batch_tokens=256),
        "de": tiny_tagger("roberta", 48, batch_tokens=256),
        "*": tiny_tagger("deberta-v3", batch_tokens=256),
    }


@cache
def alone(language: str, text: str) -> object:
    """The answer of a language's model to an article that has no company."""
    (answer,) = tag(models()[language], [article(0, text)]).answers  # type: ignore[arg-type]
    return answer


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["en", "de", "*"]), st.integers(0, 8), st.integers(1, 6)),
        min_size=1,
        max_size=24,
    ),
    st.integers(1, 24),
)
def test_an_answer_is_the_same_in_any_company(
    drawn: list[tuple[str, int, int]], split: int
) -> None:
    """Whatever mix of languages is in the batch, and whatever batch is under way beside it."""
    tagger = RoutedTagger(models())
    texts = [(language, " ".join([SENTENCES[at]] * times)) for language, at, times in drawn]
    articles = [
        article(number, text)._replace(language="" if language == "*" else language)
        for number, (language, text) in enumerate(texts)
    ]
    prepared = [
        PreparedArticle(*pair) for pair in zip(articles, tagger.encode(articles), strict=True)
    ]
    begun = [tagger.begin(part, nothing) for part in (prepared[:split], prepared[split:]) if part]
    results = [answers() for answers in begun]
    answers = [answer for result in results for answer in result.answers]
    named = [model.name for result in results for model in result.models]
    for (language, text), answer, name in zip(texts, answers, named, strict=True):
        assert name == models()[language].models[0].name
        expected = alone(language, text)
        assert isinstance(expected, tuple)
        assert isinstance(answer, tuple)
        assert [one[:5] for one in answer] == [one[:5] for one in expected]
        for one, other in zip(answer, expected, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)
            if models()[language].models[0].answers == "exact":
                assert one.score == other.score
