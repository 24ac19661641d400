"""Entities are put into the fields as they came in, left out and renamed as the settings say."""

from collections.abc import Callable, Sequence

import pytest

from consumer.codec.text.source import read_html
from consumer.contracts.choices import DropReason, RejectCode
from consumer.contracts.errors import RejectedMessage, SettingsError
from consumer.contracts.messages import (
    Answer,
    Article,
    Encoding,
    Entity,
    ModelInfo,
    ModelShare,
    PreparedArticle,
    TaggingResult,
    TextField,
)
from consumer.tagging.refined import RefinedTagger
from tests.support.fakes import FakeEncoding, raw

MODEL = ModelInfo("m", "r", "cpu", "float32", ("LOC", "ORG", "PER"))


class Scripted:
    """A tagger that finds words that it was told of, wherever they stand in the text."""

    overlaps = True
    encodings_at_once = 3
    models = (MODEL,)

    def __init__(self, found: dict[str, tuple[str, float]]) -> None:
        self._found = found
        self.awaited = 0

    def await_room(self) -> None:
        self.awaited += 1

    def encode(self, articles: Sequence[Article]) -> Sequence[Encoding]:
        return [FakeEncoding(1) for _ in articles]

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        progress()
        answers = tuple(self._answer(one.article) for one in articles)
        return lambda: TaggingResult.of_one_model(answers, ModelShare(MODEL, 1, 1))

    def _answer(self, article: Article) -> Answer:
        if article.id == "bad":
            return RejectedMessage(RejectCode.NOT_A_NUMBER, "not a number")
        return tuple(
            _found(field, word, kind, score)
            for field in article.fields
            for word, (kind, score) in self._found.items()
            if word in field.text
        )


def _found(field: TextField, word: str, kind: str, score: float) -> Entity:
    start = field.text.index(word)
    return Entity(field.name, kind, word, start, start + len(word), score)


def run(tagger: RefinedTagger, *fields: TextField, id: str = "1") -> TaggingResult:
    article = Article(raw(0), id, fields)
    prepared = [PreparedArticle(article, one) for one in tagger.encode([article])]
    return tagger.begin(prepared, lambda: None)()


def html(name: str, source: str) -> TextField:
    return TextField(name, *read_html(source))


def entities(result: TaggingResult) -> list[tuple[str, str, int, int]]:
    (answer,) = result.answers
    assert isinstance(answer, tuple)
    return [(one.type, one.text, one.start, one.end) for one in answer]


def test_entities_stand_in_the_field_as_it_came_in() -> None:
    source = "<p>An<b>gela</b> Merkel &amp; Co</p>"
    tagger = RefinedTagger(Scripted({"Angela Merkel & Co": ("ORG", 0.9)}))
    ((kind, text, start, end),) = entities(run(tagger, html("body", source)))
    assert (kind, text) == ("ORG", "Angela Merkel & Co")
    assert source[start:end] == "An<b>gela</b> Merkel &amp; Co"


def test_an_entity_across_blocks_becomes_two() -> None:
    source = "<h1>Paris</h1><p>Berlin</p>"
    text = read_html(source)[0]
    surface = text[text.index("Paris") : text.index("Berlin") + 6]
    tagger = RefinedTagger(Scripted({surface: ("LOC", 0.9)}))
    found = entities(run(tagger, html("body", source)))
    assert [(text, source[start:end]) for _, text, start, end in found] == [
        ("Paris", "Paris"),
        ("Berlin", "Berlin"),
    ]


def test_plain_fields_beside_html_stay_as_they_are() -> None:
    tagger = RefinedTagger(Scripted({"Ann": ("PER", 0.9)}))
    found = entities(run(tagger, TextField("title", "by Ann"), html("body", "<b>Ann</b>")))
    assert found == [("PER", "Ann", 3, 6), ("PER", "Ann", 3, 6)]


def test_what_is_left_out_is_counted() -> None:
    found = {"Ann": ("PER", 0.9), "Bob": ("PER", 0.5), "Rome": ("LOC", 0.9), "EU": ("ORG", 0.4)}
    tagger = RefinedTagger(
        Scripted(found), min_score=0.5, types=("PER", "ORG"), type_names={"PER": "person"}
    )
    result = run(tagger, TextField("body", "Ann and Bob in Rome, EU"))
    assert [one[:2] for one in entities(result)] == [("person", "Ann"), ("person", "Bob")]
    assert result.dropped == {DropReason.SCORE: 1, DropReason.TYPE: 1}
    assert result.shares == (ModelShare(MODEL, 1, 1),)


def test_the_models_have_the_types_that_are_published() -> None:
    tagger = RefinedTagger(Scripted({}), types=("PER", "LOC"), type_names={"PER": "person"})
    assert [model.types for model in tagger.models] == [("LOC", "person")]


def test_a_rejection_passes() -> None:
    (answer,) = run(RefinedTagger(Scripted({}), min_score=1), TextField("b", "x"), id="bad").answers
    assert isinstance(answer, RejectedMessage)


def test_everything_else_is_the_taggers() -> None:
    inner = Scripted({})
    tagger = RefinedTagger(inner)
    tagger.await_room()
    assert (inner.awaited, tagger.overlaps, tagger.encodings_at_once) == (1, True, 3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"types": ("per",)}, "types: .*type per; did you mean PER"),
        ({"types": ("DATE",)}, "types: .*type DATE; there is LOC, ORG, PER"),
        ({"type_names": {"LOCATION": "x"}}, "type_names: .*type LOCATION"),
    ],
)
def test_a_type_that_no_model_answers_with_is_named(options: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        RefinedTagger(Scripted({}), **options)  # type: ignore[arg-type]
