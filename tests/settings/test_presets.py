"""Presets: messages of each kind are read, and what is given wins."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer.contracts.choices import NoText, Preset, SkipReason
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Position,
    RawMessage,
    TopicPartition,
    Untagged,
)
from consumer.loading import codec_from
from consumer.settings.presets import PRESETS
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings


def raw(document: Any) -> RawMessage:
    return RawMessage(Position(TopicPartition("t", 0), 7), None, orjson.dumps(document), (), 1, 0)


def read(preset: str, document: Any, **given: Any) -> Article | Untagged:
    found = codec_from(Settings(preset=Preset(preset), **given)).decode(raw(document))
    assert isinstance(found, Article | Untagged)
    return found


def names(preset: str, document: Any) -> list[str]:
    """The fields that are read."""
    found = read(preset, document)
    assert isinstance(found, Article)
    return [field.name for field in found.fields]


def identity(preset: str, document: Any) -> str:
    """The article's id."""
    found = read(preset, document)
    assert isinstance(found, Article)
    return found.id


def test_there_is_a_preset_of_each_name_and_it_sets_settings() -> None:
    assert set(PRESETS) == set(Preset)
    for preset, values in PRESETS.items():
        assert set(values) <= set(Settings.model_fields)
        settings = Settings(preset=preset)
        for name, value in values.items():
            assert getattr(settings, name) == value


def test_what_is_given_wins_wherever_it_is_given(tmp_path: Path) -> None:
    config = tmp_path / "worker.toml"
    config.write_text('preset = "ninjs"\nid_field = "guid"\n')
    arguments = argparse.Namespace(config=str(config), no_text="reject")
    settings = load_settings(arguments, {"NERSTREAM_OUTPUT_FIELD": "x"})
    assert (settings.id_field, settings.no_text) == ("guid", NoText.REJECT)
    assert settings.text_fields == PRESETS[Preset.NINJS]["text_fields"]
    other = load_settings(argparse.Namespace(preset="cloudevents", config=str(config)), {})
    assert (other.preset, other.id_field) == (Preset.CLOUDEVENTS, "guid")
    assert other.text_fields == PRESETS[Preset.CLOUDEVENTS]["text_fields"]


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        # 1.x
        ({"uri": "u", "headline": "H", "body_text": "B"}, ["/headline", "/body_text"]),
        (
            {"headline_main": "H", "headline_sub": "S", "body_main": "B", "body_richtext": "<p>B"},
            ["/headline_main", "/headline_sub", "/body_main"],
        ),
        ({"headline": "H", "body": "B"}, ["/headline", "/body"]),
        (
            {"description_text": "D", "description_xhtml": "<p>D", "byline": "Ada"},
            ["/description_text"],
        ),
        # 2.x
        (
            {
                "headlines": [{"role": "main", "value": "H"}, {"value": "G"}],
                "descriptions": [{"role": "caption", "value": "D"}],
                "bodies": [
                    {"role": "xhtml", "contenttype": "text/html", "value": "<p>B"},
                    {"role": "text", "contenttype": "text/plain", "value": "B"},
                    {"role": "nitf", "contenttype": "application/xml", "value": "<nitf>"},
                ],
            },
            [
                "/headlines/0/value",
                "/headlines/1/value",
                "/descriptions/0/value",
                "/bodies/1/value",
            ],
        ),
        (
            {"bodies": [{"role": "xhtml", "value": "<p>"}, {"role": "x", "value": "B"}]},
            ["/bodies/1/value"],
        ),
        ({"bodies": [{"value": "B"}]}, ["/bodies/0/value"]),
        # With mark-up alone
        ({"body_xhtml": "<p>B", "headline": "H"}, ["/headline", "/body_xhtml"]),
        ({"body_richtext": "<p>B"}, ["/body_richtext"]),
        ({"body_special": "<p>B", "description_odd": "D"}, ["/description_odd", "/body_special"]),
        (
            {
                "bodies": [
                    {"contenttype": "application/xml", "value": "<nitf>"},
                    {"contenttype": "text/html", "value": "<p>B"},
                    {"contenttype": "text/html", "role": "rich", "value": "<p>B"},
                ]
            },
            ["/bodies/1/value"],
        ),
        ({"bodies": [{"contentType": "application/xml", "value": "<p>B"}]}, ["/bodies/0/value"]),
        ({"bodies": [{"role": "xhtml", "value": "<p>B"}]}, ["/bodies/0/value"]),
        (
            {"descriptions": [{"contenttype": "text/plain", "value": "D"}, {"role": "html"}]},
            ["/descriptions/0/value"],
        ),
        # 3.x
        (
            {
                "bodies": [
                    {"contentType": "text/html", "value": "<p>"},
                    {"contentType": "text/plain", "value": "B"},
                ]
            },
            ["/bodies/1/value"],
        ),
        ({"type": "event", "title": "T"}, ["/title"]),
        ({"title": "T", "headlines": [{"value": "H"}]}, ["/headlines/0/value"]),
        ({"title": "T", "headlines": []}, ["/title"]),
        ({"headlines": [{"value": None}, {"value": ""}, {"value": "H"}]}, ["/headlines/2/value"]),
        # What agencies make of it
        ({"uri": 5, "headlines": "odd", "headline": "H", "bodies": {"value": "x"}}, ["/headline"]),
        ({"headlines": [None, 5, "x", ["y"], {"value": "H"}]}, ["/headlines/4/value"]),
        ({"associations": [{"headlines": [{"value": "x"}]}], "headline": "H"}, ["/headline"]),
    ],
)
def test_ninjs_of_every_version_is_read(document: dict[str, Any], fields: list[str]) -> None:
    assert names("ninjs", document) == fields


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"uri": "u", "type": "picture", "renditions": [{"href": "x"}]},
        {"bodies": None, "headlines": None, "descriptions": [], "body_text": ""},
        {"bodies": [], "headlines": [{}], "title": None},
    ],
)
def test_ninjs_without_text_passes(document: dict[str, Any]) -> None:
    found = read("ninjs", document)
    assert isinstance(found, Untagged)
    assert found.reason is SkipReason.NO_TEXT
    with pytest.raises(RejectedMessage):
        read("ninjs", document, no_text=NoText.REJECT)


def test_a_body_with_mark_up_alone_is_read_without_it() -> None:
    for document in (
        {"body_xhtml": "<p>Port <b>of</b> Kotor</p>"},
        {"bodies": [{"contenttype": "text/html", "value": "<p>Port <b>of</b> Kotor</p>"}]},
    ):
        found = read("ninjs", document)
        assert isinstance(found, Article)
        (field,) = found.fields
        assert field.text.strip() == "Port of Kotor"
        assert field.source is not None
    plain = read("ninjs", {"body_text": "a <b> c"})
    assert isinstance(plain, Article)
    assert plain.fields[0].text == "a <b> c"


def test_text_fields_of_ones_own_have_no_formats_of_the_preset() -> None:
    settings = Settings(preset=Preset.NINJS, text_fields=("headline",))
    assert settings.text_format == ("plain",)


def test_newsarticle() -> None:
    document = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "@id": "https://example.com/a",
        "headline": "H",
        "description": "D",
        "articleBody": "B",
        "author": [{"name": "Ada"}],
    }
    found = identity("newsarticle", document)
    assert found == "https://example.com/a"
    assert names("newsarticle", document) == ["headline", "description", "articleBody"]
    del document["@id"]
    assert identity("newsarticle", {**document, "url": "u"}) == "u"
    assert identity("newsarticle", {**document, "identifier": 5}) == "5"
    with pytest.raises(RejectedMessage, match='"@context", "@type"'):
        read("newsarticle", document)


def test_cloudevents() -> None:
    document = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/cms",
        "type": "com.example.article",
        "data": {"title": "T", "summary": "S", "text": "X"},
    }
    assert identity("cloudevents", document) == "e-1"
    assert names("cloudevents", document) == ["/data/title", "/data/summary", "/data/text"]
    with pytest.raises(RejectedMessage, match='/data has "kind"'):
        read("cloudevents", {**document, "data": {"kind": 1}})
    assert names("cloudevents", {**document, "data": {"headline": "H", "body": "B"}}) == [
        "/data/headline",
        "/data/body",
    ]


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        # An empty version is as good as none.
        ({"headlines": [{"value": ""}], "headline": "A"}, ["/headline"]),
        ({"headlines": [{"value": None}, {"role": "x"}], "title": "A"}, ["/title"]),
        (
            {
                "bodies": [
                    {"contenttype": "text/plain", "value": ""},
                    {"contenttype": "text/html", "value": "<p>A</p>"},
                ]
            },
            ["/bodies/1/value"],
        ),
        ({"bodies": [{"contentType": "text/html", "value": ""}], "body_html": "A"}, ["/body_html"]),
        # What counts a text is none.
        ({"headline": "A", "body_charcount": 120, "description_wordcount": 9}, ["/headline"]),
        ({"headline_charcount": 1, "headline_main": "A"}, ["/headline_main"]),
        (
            {"headline": "A", "body_meta": {"x": 1}, "body_nitf": "<p>B</p>"},
            ["/headline", "/body_nitf"],
        ),
    ],
)
def test_ninjs_passes_over_what_is_no_text(document: Any, fields: list[str]) -> None:
    assert names("ninjs", document) == fields


@pytest.mark.parametrize("member", ["contenttype", "contentType"])
@pytest.mark.parametrize("end", ["", "; charset=utf-8", ";charset=UTF-8"])
def test_ninjs_reads_content_types_with_parameters(member: str, end: str) -> None:
    plain = {member: f"text/plain{end}", "value": "Ann <ann@example.org> & Bob"}
    html = {member: f"text/html{end}", "value": "<p>Ann</p>"}
    found = read("ninjs", {"bodies": [html, plain]})
    assert isinstance(found, Article)
    assert [tuple(field[:2]) for field in found.fields] == [
        ("/bodies/1/value", "Ann <ann@example.org> & Bob")
    ]
    other = {member: f"image/svg+xml{end}", "value": "<svg>"}
    found = read("ninjs", {"bodies": [other, html]})
    assert isinstance(found, Article)
    assert [field.name for field in found.fields] == ["/bodies/1/value"]
    assert found.fields[0].text.strip() == "Ann"


@pytest.mark.parametrize("odd", [5, None, True, ["text/html"], {"a": 1}])
def test_ninjs_reads_bodies_of_odd_content_types(odd: Any) -> None:
    assert names("ninjs", {"bodies": [{"contenttype": odd, "value": "Ann"}]}) == ["/bodies/0/value"]


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        # Wire text of 1.x, whose further headlines stand beside the headline
        (
            {
                "uri": "urn:x:1",
                "language": "en-GB",
                "headline": "H",
                "headline_extended": "HH",
                "body_nitf": "<p>B</p>",
                "description_summary": "D",
                "altids": {"itemid": "1"},
            },
            ["/headline", "/headline_extended", "/description_summary", "/body_nitf"],
        ),
        # A text and its sidebar, each in two versions
        (
            {
                "guid": 5,
                "headlines": [
                    {"role": "main", "contentType": "text/html", "value": "<i>H</i>"},
                    {"role": "sub", "value": "S"},
                ],
                "bodies": [
                    {"role": "main_text", "contentType": "text/plain", "value": "B"},
                    {"role": "main_html", "contentType": "text/html", "value": "<p>B</p>"},
                    {"role": "sidebar_html", "contentType": "text/html", "value": "<p>C</p>"},
                ],
                "altIds": [{"role": "internal", "value": "7"}],
                "associations": [{"headlines": [{"value": "Picture"}]}],
            },
            ["/headlines/1/value", "/headlines/0/value", "/bodies/0/value", "/bodies/2/value"],
        ),
        # Two languages in one object
        (
            {
                "bodies": [
                    {"role": "de", "contenttype": "text/html", "value": "<p>Anna</p>"},
                    {"role": "fr", "contenttype": "text/html", "value": "<p>Anne</p>"},
                ]
            },
            ["/bodies/0/value", "/bodies/1/value"],
        ),
        # An event and a planned coverage, which have no more than a title and a description
        (
            {
                "type": "event",
                "title": "T",
                "descriptions": [{"value": "D"}],
                "eventDetails": {"dates": {}},
                "plannedCoverage": [{"title": "x"}],
            },
            ["/title", "/descriptions/0/value"],
        ),
    ],
)
def test_ninjs_as_agencies_write_it(document: dict[str, Any], fields: list[str]) -> None:
    assert names("ninjs", document) == fields


def test_ninjs_within_another_message() -> None:
    document = {"id": "1", "data": {"headline": "H", "body_xhtml": "<p>Ann <b>Lee</b></p>"}}
    found = read(
        "cloudevents",
        document,
        text_fields=("ninjs(data, 'headline', 'plain')", "ninjs(data, 'body', 'html')"),
        text_format=("ninjs(data, 'body', 'html')=html",),
    )
    assert isinstance(found, Article)
    assert [(field.name, field.text.strip()) for field in found.fields] == [
        ("/data/headline", "H"),
        ("/data/body_xhtml", "Ann Lee"),
    ]
    with pytest.raises(RejectedMessage) as caught:
        read("ninjs", {"uri": "u"}, no_text=NoText.REJECT)
    assert caught.value.message.startswith(
        "\"ninjs(@, 'headline', 'plain')\" and \"ninjs(@, 'headline', 'html')\" and"
    )
    assert 'find nothing: the message has "uri"; and so for 3 more' in caught.value.message
