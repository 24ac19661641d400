"""A tagger that answers at once, and always the same: for tests in which the model is no matter."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    ModelShare,
    PreparedArticle,
    TaggingResult,
    TextField,
)
from consumer.settings.schema import Settings
from consumer.tagging.routed import RoutedEncoding, RoutedTagger

INFO = ModelInfo("light", "1", "cpu", "float32", ("NAME",))

#: The second of two models, which answers for the articles of odd ids.
OTHER = ModelInfo("light-other", "2", "cpu", "float32", ("NOM",))

#: A text with this word in it is one that the model has no finite logits for.
NOT_A_NUMBER = "notanumber"

_NAME = re.compile(r"\b[^\W\d_a-z][^\W\d_]*\b")


@dataclass(frozen=True, slots=True)
class LightEncoding:
    """So many tokens."""

    tokens: int


def entities_of(fields: Sequence[TextField], model: ModelInfo = INFO) -> tuple[Entity, ...]:
    """Every capitalised word is a name, of the model's one type. What a checker compares the
    messages with."""
    (kind,) = model.types
    return tuple(
        Entity(field.name, kind, name.group(), name.start(), name.end(), 1.0)
        for field in fields
        for name in _NAME.finditer(field.text)
    )


class LightTagger:
    """`consumer.contracts.ports.Tagger` without a model."""

    overlaps = False
    encodings_at_once = 1

    def __init__(self, model: ModelInfo = INFO) -> None:
        self.models = (model,)

    def encode(self, articles: Sequence[Article]) -> list[LightEncoding]:
        return [
            LightEncoding(1 + sum(len(field.text) for field in one.fields) // 5) for one in articles
        ]

    def await_room(self) -> None:
        """There is."""

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        result = self.tag(articles, progress)
        return lambda: result

    def tag(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> TaggingResult:
        tokens = sum(article.encoding.tokens for article in articles)
        progress()
        (model,) = self.models
        answers = tuple(_answer(article, model) for article in articles)
        return TaggingResult.of_one_model(answers, ModelShare(model, tokens, tokens))


class TwoLightTaggers(RoutedTagger):
    """Two models behind one tagger, as for two languages; an article's id says which is its."""

    def __init__(self) -> None:
        super().__init__({"en": LightTagger(), "*": LightTagger(OTHER)})

    def encode(self, articles: Sequence[Article]) -> list[RoutedEncoding]:
        return super().encode([_in_its_language(article) for article in articles])


def model_of(article_id: str) -> ModelInfo:
    """Which of two models answers for an article. What a checker compares the messages with."""
    return OTHER if article_id[-1:] in tuple("13579") else INFO


def _in_its_language(article: Article) -> Article:
    return article._replace(language="en-GB" if model_of(article.id) is INFO else "de")


def _answer(article: PreparedArticle, model: ModelInfo) -> tuple[Entity, ...] | RejectedMessage:
    if any(NOT_A_NUMBER in field.text for field in article.article.fields):
        return RejectedMessage(RejectCode.NOT_A_NUMBER, "logits that are not finite numbers")
    return entities_of(article.article.fields, model)


def load_light(settings: Settings) -> LightTagger:
    """As a supervisor's template loads what its workers share."""
    del settings
    return LightTagger()
