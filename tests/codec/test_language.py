"""The language of an article is what its message says, or what its text looks like."""

import sys
from collections.abc import Iterable

import orjson
import pytest

from consumer.codec.article_codec import Codec
from consumer.codec.detection import LOOKED_AT, LanguageDetector
from consumer.codec.language import LanguageStep
from consumer.contracts.choices import NoText, SkipReason
from consumer.contracts.errors import SettingsError
from consumer.contracts.messages import Article, ModelInfo, TaggedArticle, Untagged
from tests.support.fakes import raw

MODEL = ModelInfo("m", "r", "cpu", "float32", ("PER",))


def told(
    document: object,
    field: str = "language",
    tagged: tuple[str, ...] | None = None,
    detected: str | None = None,
) -> Article | Untagged:
    """What the codec makes of a message."""

    def detect(texts: Iterable[str]) -> str:
        assert list(texts)
        return detected or ""

    step = LanguageStep(field, None if detected is None else detect, tagged)
    codec = Codec(("title",), id_field="", no_text=NoText.PASS, language=step)
    found = codec.decode(raw(0, orjson.dumps(document)))
    assert isinstance(found, (Article, Untagged))
    return found


def language_of(found: Article | Untagged) -> str:
    return found.article.language if isinstance(found, Untagged) else found.language


@pytest.mark.parametrize(
    ("value", "language"),
    [
        ("en", "en"),
        ("de-AT", "de-AT"),
        ("zh_Hant", "zh_Hant"),
        (" nb ", "nb"),
        ("", ""),
        (None, ""),
        (7, ""),
        ("no language at all", ""),
        ("x" * 100_000, ""),
    ],
)
def test_a_message_says_its_language(value: object, language: str) -> None:
    assert language_of(told({"title": "T", "language": value})) == language


def test_a_path_leads_to_it() -> None:
    message = {"title": "T", "meta": [{"k": "x"}, {"k": "lang", "v": "fr"}]}
    assert language_of(told(message, "meta[?k=='lang'].v")) == "fr"
    assert language_of(told({"title": "T"}, "meta[?k=='lang'].v")) == ""


def test_a_path_that_cannot_be_computed_rejects_nothing() -> None:
    assert (
        language_of(told({"title": "T", "meta": [{"k": 1}]}, "meta[?starts_with(k,'a')].v")) == ""
    )


def test_what_the_message_says_goes_before_what_the_text_looks_like() -> None:
    assert language_of(told({"title": "T", "language": "fr"}, detected="de")) == "fr"
    assert language_of(told({"title": "T"}, detected="de")) == "de"


@pytest.mark.parametrize(
    ("language", "tagged", "is_tagged"),
    [
        ("en", ("en", "de"), True),
        ("EN-gb", ("en", "de"), True),
        ("fr", ("en", "de"), False),
        ("", ("en", "de"), False),
        ("", ("en", "und"), True),
        ("fr", ("en", "und"), False),
        ("nb", ("no",), True),
        ("no", ("nb",), True),
        ("nn", ("nb",), False),
        ("fr", None, True),
    ],
)
def test_languages_that_are_tagged(
    language: str, tagged: tuple[str, ...] | None, is_tagged: bool
) -> None:
    found = told({"title": "T", "language": language}, tagged=tagged)
    assert isinstance(found, Article) is is_tagged
    if isinstance(found, Untagged):
        assert found.reason is SkipReason.LANGUAGE


def test_a_message_without_text_has_no_other_reason() -> None:
    found = told({"language": "fr"}, tagged=("en",), detected="en")
    assert isinstance(found, Untagged)
    assert found.reason is SkipReason.NO_TEXT


def test_the_output_says_the_language() -> None:
    codec = Codec(("title",), id_field="", language=LanguageStep("language", None, ("en",)))

    def tagging(document: object) -> dict[str, str]:
        found = codec.decode(raw(0, orjson.dumps(document)))
        assert isinstance(found, (Article, Untagged))
        outcome = TaggedArticle(found, (), 1, MODEL) if isinstance(found, Article) else found
        told: dict[str, str] = orjson.loads(codec.encode(outcome, 5))["tagging"]
        return told

    assert tagging({"title": "T", "language": "en-GB"})["language"] == "en-GB"
    assert tagging({"title": "T", "language": "en"})["language"] == "en"
    skipped = tagging({"title": "T", "language": "fr"})
    assert (skipped["skipped"], skipped["language"]) == ("language", "fr")
    assert "language" not in tagging({"title": "T"})


def test_any_number_of_languages_takes_bounded_memory() -> None:
    codec = Codec(("title",), id_field="", language=LanguageStep("language", None, None))
    for number in range(2_000):
        message = {"title": "T", "language": f"en-{number}"}
        found = codec.decode(raw(0, orjson.dumps(message)))
        assert isinstance(found, Article)
        written = orjson.loads(codec.encode(TaggedArticle(found, (), 1, MODEL), 5))
        assert written["tagging"]["language"] == f"en-{number}"
    assert len(codec._tagging) <= 256


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The mayor said on Monday that the tram would run again before the summer.", "en"),
        ("Die Bürgermeisterin sagte am Montag, die Straßenbahn fahre bald wieder.", "de"),
        ("Le maire a déclaré lundi que le tramway circulerait de nouveau avant l'été.", "fr"),
        ("Ordføreren sa mandag at trikken skal gå igjen før sommeren kommer.", "no"),
        ("Borgmästaren sade på måndagen att spårvagnen snart går igen.", "sv"),
        ("市長は月曜日、路面電車が夏までに再び走ると述べた。", "ja"),
        ("12:30 - 45 %", ""),
        ("", ""),
        ("\ud800", ""),
    ],
)
def test_a_text_looks_like_its_language(text: str, language: str) -> None:
    assert _detector().language_of([text]) == language


def test_the_first_characters_count() -> None:
    english = "The mayor said on Monday that the tram would run again. " * 10
    german = "Die Bürgermeisterin sagte am Montag, die Bahn fahre bald wieder. " * 1_000
    assert len(english) > LOOKED_AT
    assert _detector().language_of([english, german]) == "en"
    assert _detector().language_of(["Rathaus", german]) == "de"


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(SettingsError, match=r"languages: .*py3langid.*nerstream\[languages\]"):
        LanguageDetector("languages")


_kept: list[LanguageDetector] = []


def _detector() -> LanguageDetector:
    """One for all tests: it takes a second to load."""
    if not _kept:
        _kept.append(LanguageDetector("languages"))
    return _kept[0]
