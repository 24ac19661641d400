"""What a text is, is said by the settings, or by the message beside the text."""

import orjson
import pytest

from consumer.codec.article_codec import Codec
from consumer.codec.text.formats import formats_of
from consumer.contracts.choices import NoText, RejectCode, SkipReason, TextFormat
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article, Entity, ModelInfo, TaggedArticle, Untagged
from tests.support.fakes import raw

HTML = "<p>Smith &amp; Baird</p>"


def texts_of(codec: Codec, document: object) -> dict[str, str]:
    article = codec.decode(raw(0, orjson.dumps(document)))
    assert isinstance(article, Article)
    return {field.name: field.text.strip() for field in article.fields}


@pytest.mark.parametrize(
    ("entries", "title", "body"),
    [
        (("plain",), HTML, HTML),
        (("html",), "Smith & Baird", "Smith & Baird"),
        (("references",), "<p>Smith & Baird</p>", "<p>Smith & Baird</p>"),
        (("body=html",), HTML, "Smith & Baird"),
        (("title=references", "html"), "<p>Smith & Baird</p>", "Smith & Baird"),
    ],
)
def test_each_field_is_of_its_format(entries: tuple[str, ...], title: str, body: str) -> None:
    codec = Codec(("title", "body"), id_field="", text_format=entries)
    assert texts_of(codec, {"title": HTML, "body": HTML}) == {"title": title, "body": body}


def test_a_path_may_have_a_format_of_its_own() -> None:
    path = "bodies[?contenttype=='text/html'].value"
    assert formats_of((f"{path}=html",), ("title", path)) == {
        "title": TextFormat.PLAIN,
        path: TextFormat.HTML,
    }
    codec = Codec(("title", path), id_field="", text_format=(f"{path}=html",))
    message = {"title": HTML, "bodies": [{"contenttype": "text/html", "value": HTML}]}
    assert texts_of(codec, message) == {"title": HTML, "/bodies/0/value": "Smith & Baird"}


@pytest.mark.parametrize(
    ("media_type", "otherwise", "text"),
    [
        ("text/html", "plain", "Smith & Baird"),
        ("Text/HTML; charset=utf-8", "plain", "Smith & Baird"),
        ("application/xhtml+xml", "plain", "Smith & Baird"),
        ("text/plain", "html", HTML),
        ("text/plain", "references", "<p>Smith & Baird</p>"),
        ("image/png", "html", "Smith & Baird"),
        (None, "html", "Smith & Baird"),
        (7, "plain", HTML),
    ],
)
def test_the_message_may_say_it_beside_the_text(
    media_type: object, otherwise: str, text: str
) -> None:
    codec = Codec(
        ("bodies[*].value", "body"),
        id_field="",
        text_format=(otherwise,),
        text_format_field="contenttype",
    )
    message = {
        "body": HTML,
        "contenttype": media_type,
        "bodies": [{"contenttype": media_type, "value": HTML}],
    }
    assert texts_of(codec, message) == {"body": text, "/bodies/0/value": text}


@pytest.mark.parametrize("text_fields", [("body",), ("x.body", "body")])
def test_mark_up_alone_is_no_text(text_fields: tuple[str, ...]) -> None:
    message = raw(0, orjson.dumps({"body": "<p> <br/> </p><script>Ann</script>"}))
    with pytest.raises(RejectedMessage, match="without its mark-up") as refused:
        Codec(text_fields, id_field="", text_format=("html",)).decode(message)
    assert refused.value.code == RejectCode.NO_TEXT
    passing = Codec(text_fields, id_field="", text_format=("html",), no_text=NoText.PASS)
    untagged = passing.decode(message)
    assert isinstance(untagged, Untagged)
    assert untagged.reason is SkipReason.NO_TEXT


def test_names_are_listed_beside_the_entities() -> None:
    codec = Codec(("body",), id_field="", text_format=("html",), people={"PER"})
    body = "<p>European Central Bank (<i>ECB</i>)</p><p>ECB</p>"
    article = codec.decode(raw(0, orjson.dumps({"body": body, "names": ["of the sender"]})))
    assert isinstance(article, Article)
    found, at = [], 0
    for surface in ("European Central Bank", "ECB", "ECB"):
        at = body.index(surface, at)
        found.append(Entity("body", "ORG", surface, at, at + len(surface), 0.9))
        at += len(surface)
    model = ModelInfo("m", "r", "cpu", "float32", ("ORG",))
    written = orjson.loads(codec.encode(TaggedArticle(article, tuple(found), 1, model), 5))
    assert list(written) == ["body", "entities", "names", "tagging"]
    assert written["names"] == [
        {"type": "ORG", "text": "European Central Bank", "count": 3, "mentions": [0, 1, 2]}
    ]


def test_names_of_the_sender_stay_where_none_are_listed() -> None:
    codec = Codec(("body",), id_field="")
    article = codec.decode(raw(0, b'{"body": "x", "names": [1]}'))
    assert isinstance(article, Article)
    model = ModelInfo("m", "r", "cpu", "float32", ("ORG",))
    written = orjson.loads(codec.encode(TaggedArticle(article, (), 1, model), 5))
    assert written["names"] == [1]


def test_what_passes_untagged_has_no_names() -> None:
    codec = Codec(("body",), id_field="", no_text=NoText.PASS, people={"PER"})
    untagged = codec.decode(raw(0, b'{"x": 1}'))
    assert isinstance(untagged, Untagged)
    assert orjson.loads(codec.encode(untagged, 5))["names"] == []
