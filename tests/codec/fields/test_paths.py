"""Articles read by paths: their texts by pointer, their ids, and what is wrong with the others."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consumer.codec.article_codec import Codec
from consumer.codec.fields.places import resolve
from consumer.contracts.choices import NoText, SkipReason
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Position,
    RawMessage,
    TextField,
    Tombstone,
    TopicPartition,
    Untagged,
)

PLAIN = "bodies[?contenttype=='text/plain'].value"


def raw(document: Any) -> RawMessage:
    return RawMessage(Position(TopicPartition("t", 0), 7), None, orjson.dumps(document), (), 1, 0)


def decode(document: Any, *text_fields: str, **options: Any) -> Article:
    article = Codec(text_fields, **options).decode(raw(document))
    assert isinstance(article, Article)
    return article


def rejected(document: Any, *text_fields: str, **options: Any) -> tuple[str, str]:
    with pytest.raises(RejectedMessage) as caught:
        Codec(text_fields, **options).decode(raw(document))
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 600
    return caught.value.code, caught.value.message


def test_each_text_is_a_field_of_its_own_in_the_order_of_the_settings() -> None:
    document = {
        "id": "7",
        "bodies": [
            {"contenttype": "text/html", "value": "<p>"},
            {"contenttype": "text/plain", "value": "B"},
            {"contenttype": "text/plain", "value": "C"},
        ],
        "headlines": [{"value": "H"}],
        "lead": "L",
    }
    article = decode(document, "headlines[*].value", PLAIN, "lead")
    assert article.fields == (
        TextField("/headlines/0/value", "H"),
        TextField("/bodies/1/value", "B"),
        TextField("/bodies/2/value", "C"),
        TextField("lead", "L"),
    )
    for field in article.fields[:3]:
        assert resolve(document, field.name) == field.text


def test_nulls_and_empty_texts_are_left_out() -> None:
    document = {"id": "7", "a": [{"b": None}, {"b": ""}, {"b": "x"}, {}], "c": None}
    assert decode(document, "a[*].b", "c").fields == (TextField("/a/2/b", "x"),)


def test_what_two_paths_find_is_read_once_where_it_was_found_first() -> None:
    document = {"id": "7", "a": [{"b": "x"}, {"b": "y"}]}
    found = decode(document, "a[1].b", "a[*].b").fields
    assert found == (TextField("/a/1/b", "y"), TextField("/a/0/b", "x"))
    found = decode(document, "a[*].b", "a[1].b").fields
    assert found == (TextField("/a/0/b", "x"), TextField("/a/1/b", "y"))


@pytest.mark.parametrize("fields", [("title", "body"), ("title", "x.body")])
@pytest.mark.parametrize(
    ("id", "expected"), [("7", "7"), (7, "7"), (-1, "-1"), (0, "0"), (2**63, str(2**63))]
)
def test_an_id_is_a_string_or_a_whole_number(
    fields: tuple[str, ...], id: Any, expected: str
) -> None:
    assert decode({"id": id, "title": "x"}, *fields).id == expected


@pytest.mark.parametrize("fields", [("title", "body"), ("title", "x.body")])
@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"title": "x"}, "missing_id"),
        ({"id": "", "title": "x"}, "empty_id"),
        ({"id": None, "title": "x"}, "wrong_type"),
        ({"id": True, "title": "x"}, "wrong_type"),
        ({"id": 7.5, "title": "x"}, "wrong_type"),
        ({"id": ["7"], "title": "x"}, "wrong_type"),
        ({"id": {"a": 1}, "title": "x"}, "wrong_type"),
        ({"id": "7", "title": ["x"]}, "wrong_type"),
        ({"id": "7", "title": 5}, "wrong_type"),
        ({"id": "7"}, "no_text"),
        ({"id": "7", "title": ""}, "no_text"),
        ([{"id": "7", "title": "x"}], "not_an_object"),
    ],
)
def test_names_and_paths_reject_alike(fields: tuple[str, ...], document: Any, code: str) -> None:
    assert rejected(document, *fields)[0] == code


@pytest.mark.parametrize("fields", [("title",), ("x.title", "title")])
def test_another_id_or_none(fields: tuple[str, ...]) -> None:
    document = {"meta": {"guid": 5}, "uri": "u", "altids": [{"value": "a"}], "title": "x"}
    assert decode(document, *fields, id_field="uri").id == "u"
    assert decode(document, *fields, id_field="meta.guid").id == "5"
    assert decode(document, *fields, id_field="id || uri").id == "u"
    assert decode(document, *fields, id_field="altids[*].value").id == "a"
    assert decode(document, *fields, id_field="").id == ""
    assert rejected(document, *fields, id_field="guid") == (
        "missing_id",
        'field "guid" is missing; there is "meta", "uri", "altids", "title"; an article has '
        '"guid", a non-empty string or a whole number',
    )
    code, message = rejected(document, *fields, id_field="meta.id")
    assert code == "missing_id"
    assert message.startswith('"meta.id" finds nothing: /meta has "guid"; an id must be')


@pytest.mark.parametrize("fields", [("title",), ("x.title", "title")])
def test_without_text_a_message_passes_where_the_settings_say_so(fields: tuple[str, ...]) -> None:
    codec = Codec(fields, no_text=NoText.PASS)
    for document in ({"id": "7"}, {"id": "7", "title": None}, {"id": "7", "title": ""}):
        passed = codec.decode(raw(document))
        assert isinstance(passed, Untagged)
        assert (passed.reason, passed.article.id, passed.article.fields) == (
            SkipReason.NO_TEXT,
            "7",
            (),
        )
    assert isinstance(codec.decode(raw({"id": "7", "title": "x"})), Article)
    wrongs: list[Any] = [{"title": "x"}, {"id": "7", "title": 5}, []]
    for wrong in wrongs:
        with pytest.raises(RejectedMessage):
            codec.decode(raw(wrong))
    assert isinstance(codec.decode(raw({})._replace(value=None)), Tombstone)


@pytest.mark.parametrize(
    ("document", "path", "told"),
    [
        ({}, "a.b", '"a.b" finds nothing: the message has "id"'),
        ({"a": {"c": 1, "d": 2}}, "a.b", '"a.b" finds nothing: /a has "c", "d"'),
        ({"a": {}}, "a.b", "/a is empty"),
        ({"a": "text"}, "a.b", "/a is a string ('text')"),
        ({"a": None}, "a.b", "the message has null in a"),
        ({"a": [{"x": 1}]}, "a.b", "/a is a list of 1"),
        ({"a": {"b": 1}}, "a[*].b", "/a is an object"),
        ({"a": []}, "a[*].b", "/a is a list of 0"),
        ({"a": [{"x": 1}, {"y": 1}]}, "a[*].b", '/a/0 has "x"'),
        ({"a": [{"t": "x"}]}, "a[?t=='y'].b", "none of the 1 in /a meets its condition"),
        ({"a": [{"t": "y"}]}, "a[?t=='y'].b", '/a/0 has "t"'),
        ({"a": [1]}, "a[3]", "/a is a list of 1"),
        ({"a": {"b": ""}}, "a.b", '"a.b" finds no text: /a/b is empty'),
        ({"a": {"b": ""}}, "a.b || a.c", '"a.b || a.c" finds no text: /a/b is empty'),
        ({"x": 1}, "members(@, 'body_*')", 'the message has "id", "x"'),
        ({"x": {"y": 1}}, "x.*.z", "/x/y is a number (1)"),
    ],
)
def test_a_wrong_path_says_what_the_message_has_there(
    document: dict[str, Any], path: str, told: str
) -> None:
    code, message = rejected({"id": "7", **document}, path)
    assert code == "no_text"
    assert told in message


def test_paths_that_end_at_one_place_share_its_description() -> None:
    message = rejected({"id": "7", "x": {"y": 1}}, "x.a", "x.b.c", "d.e")[1]
    assert message.startswith(
        '"x.a" and "x.b.c" find nothing: /x has "y"; "d.e" finds nothing: the message has "id", "x"'
    )


def test_names_beside_paths_say_what_they_are() -> None:
    message = rejected({"id": "7", "title": ""}, "title", "lead", "a.b", "c.d")[1]
    assert message == (
        'field "title" is empty; there is no field "lead"; the message has "id", "title"; '
        '"a.b" finds nothing: the message has "id", "title"; and so for 1 more; '
        "at least one text must be a non-empty string"
    )


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (5, "is a number (5); a text must be a string or null"),
        ({"x": 1}, 'is an object; it has "x"'),
        (["x"], "is a list of 1; a.b[*] takes the texts of a list"),
        (True, "is true; a text must be"),
    ],
)
def test_what_is_no_text_is_told_by_its_pointer(value: Any, told: str) -> None:
    code, message = rejected({"id": "7", "a": {"b": value}}, "a.b")
    assert code == "wrong_type"
    assert message == f'/a/b, which "a.b" names, {told}' or told in message


def test_a_condition_that_cannot_be_computed_rejects_with_the_remedy() -> None:
    document = {"id": "7", "bodies": [{"value": "x"}]}
    code, message = rejected(document, "bodies[?contains(contenttype, 'html')].value")
    assert code == "wrong_type"
    assert "ask for the field first, as in [?a && contains(a, 'b')]" in message


def test_messages_stay_short_whatever_they_quote() -> None:
    long = "x" * 100_000
    for document in (
        {long: 1},
        {"id": "7", long: 1},
        {"id": "7", "a": {long: {long: 1}}},
        {"id": "7", "a": {"b": {long: 1}}},
        {"id": "7", "a": {"b": [long]}},
        {"id": {"x": long}},
        {"id": "7", "a": {long: 5}},
    ):
        rejected(document, "a.b", f"members(a, '{long[:50]}*')")


@pytest.mark.parametrize(
    ("path", "document", "options", "fields"),
    [
        ("members(@, '*')", {"a": "A", "tagging": {"model": "m"}, "entities": []}, {}, ["/a"]),
        ("*.text", {"a": {"text": "A"}, "tagging": {"text": "B"}}, {}, ["/a/text"]),
        ("*[].text", {"a": [{"text": "A"}], "entities": [{"text": "B"}]}, {}, ["/a/0/text"]),
        ("members(@, 'n*')", {"name": "A", "names": "B"}, {"people": ("PER",)}, ["/name"]),
        ("members(@, 'n*')", {"name": "A", "names": "B"}, {}, ["/name", "/names"]),
        ("*.*", {"x": {"a": "A", "y": "B"}}, {"output_field": "x.y"}, ["/x/a"]),
        ("*.y || a", {"x": {"y": "B"}, "a": "A"}, {"output_field": "x.y"}, ["/a"]),
        ("a", {"x": None, "a": "A"}, {"output_field": "x.y"}, ["a"]),
        ("*", {"x": {"y": {}}, "a": "A"}, {"output_field": "x"}, ["/a"]),
        ("*", {"x": {"y": {}}, "a": "A"}, {"output_field": "x.y"}, ["/a"]),
    ],
)
def test_what_the_output_replaces_is_no_text(
    path: str, document: Any, options: Any, fields: list[str]
) -> None:
    article = decode(document, path, "b.c", id_field="", **options)
    assert [field.name for field in article.fields] == fields


def test_without_text_nothing_is_told_of_what_the_output_replaces() -> None:
    code, message = rejected({"tagging": {"text": "A"}}, "*.text", id_field="")
    assert (code, "tagging" in message) == ("no_text", False)


def test_a_name_and_a_path_that_find_one_place_read_it_once() -> None:
    article = decode({"id": "7", "body": "A", "bl/urb": "B"}, "members(@, 'b*')", "body", "bl/urb")
    assert [field.name for field in article.fields] == ["/body", "/bl~1urb"]


@pytest.mark.parametrize("path", ["a || b", f"a{'.a' * 50}"])
def test_of_a_long_path_a_remedy_quotes_nothing(path: str) -> None:
    document: Any = ["x"]
    for _ in range(path.count("a")):
        document = {"a": document}
    assert (
        "; a path that ends in [*] takes the texts of a list"
        in rejected(document, path, id_field="")[1]
    )
