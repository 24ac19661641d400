"""What the settings ask for: when an article's language is asked, and which are tagged."""

from __future__ import annotations

import gc
from typing import Any

import orjson
import pytest

from consumer.contracts.choices import SkipReason, Switch
from consumer.contracts.errors import ModelError
from consumer.contracts.messages import Article, Untagged
from consumer.loading import codec_from, tagger_from, taggers_from
from consumer.settings.schema import Settings
from tests.support.fakes import raw


def decoded(language: str | None, **settings: Any) -> Article | Untagged:
    """What the codec makes of an article that says its language."""
    document = {"id": "1", "title": "Ada wrote", **({"lang": language} if language else {})}
    made = codec_from(Settings(language_field="lang", language_detection=Switch.OFF, **settings))
    found = made.decode(raw(1, orjson.dumps(document)))
    assert isinstance(found, (Article, Untagged))
    return found


@pytest.mark.parametrize(
    ("models", "language", "is_tagged"),
    [
        ({"en": "a", "de": "b"}, "en-GB", True),
        ({"en": "a", "de": "b"}, "fr", False),
        ({"en": "a", "de": "b"}, None, False),
        ({"en": "a", "*": "b"}, "fr", True),
        ({"en": "a", "*": "b"}, None, True),
        ({"no": "a"}, "nb", True),
        ({}, "fr", True),
    ],
)
def test_what_no_model_is_for_passes(
    models: dict[str, str], language: str | None, is_tagged: bool
) -> None:
    found = decoded(language, models=models)
    if is_tagged:
        assert isinstance(found, Article)
        assert found.language == (language or "")
    else:
        assert isinstance(found, Untagged)
        assert found.reason is SkipReason.LANGUAGE


def test_languages_may_be_fewer_than_those_with_a_model() -> None:
    models = {"en": "a", "*": "b"}
    assert isinstance(decoded("fr", models=models, languages=("fr",)), Article)
    assert isinstance(decoded("en", models=models, languages=("fr",)), Untagged)


def test_without_a_model_for_a_language_nobody_asks_for_it() -> None:
    for settings in (Settings(), Settings(models={"*": "a"})):
        assert codec_from(settings)._language is None
    asked = Settings(models={"en": "a", "*": "b"}, language_detection=Switch.OFF)
    assert codec_from(asked)._language is not None


@pytest.mark.parametrize("models", [{}, {"en": "a"}])
def test_garbage_is_looked_for_again_once_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, models: dict[str, str]
) -> None:
    seen: list[bool] = []

    def load(*_: object, **__: object) -> None:
        seen.append(gc.isenabled())
        raise ModelError("none")

    monkeypatch.setattr("consumer.tagging.tagger.load_tagger", load)
    monkeypatch.setattr("consumer.tagging.together.load_taggers", load)
    for named in (tagger_from, taggers_from) if not models else (taggers_from,):
        with pytest.raises(ModelError):
            named(Settings(models=models))
    assert seen
    assert not any(seen)
    assert gc.isenabled()
