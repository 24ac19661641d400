from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import string
import tracemalloc
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer import __version__, resources
from consumer.codec.article_codec import Codec, rfc3339
from consumer.codec.fields.names import article_schema
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    Position,
    RawMessage,
    TaggedArticle,
    TextField,
    Tombstone,
    TopicPartition,
)

INFO = ModelInfo("bundled", "3f1c2a90b7de", "cpu", "float32", ("LOC", "PER"))
AT_MS = 1_795_416_002_318
CODEC = Codec(("title", "body"))
OUTPUT = jsonschema_rs.validator_for(resources.schema("tagged_article.v1"))
TAGGING = {
    "model": "bundled",
    "revision": "3f1c2a90b7de",
    "version": __version__,
    "tagged_at": "2026-11-23T06:40:02.318Z",
}


def raw(value: bytes | str | None) -> RawMessage:
    value = value.encode() if isinstance(value, str) else value
    return RawMessage(Position(TopicPartition("articles", 0), 7), b"k", value, (), 1, 0)


def decode(value: bytes | str, codec: Codec = CODEC) -> Article:
    article = codec.decode(raw(value))
    assert isinstance(article, Article)
    return article


def rejected(value: bytes | str, codec: Codec = CODEC) -> tuple[str, str]:
    with pytest.raises(RejectedMessage) as caught:
        codec.decode(raw(value))
    return str(caught.value.code), caught.value.message


def encode(value: bytes | str, *entities: Entity) -> bytes:
    return CODEC.encode(TaggedArticle(decode(value), entities, 3, INFO), AT_MS)


def nested(levels: int, inner: str = "") -> str:
    return "[" * levels + inner + "]" * levels


# --- decode


def test_an_article_has_its_id_and_its_text_fields_in_the_order_of_the_setting() -> None:
    message = raw('{"body": "B é", "id": "7", "title": "A", "lead": "L"}')
    article = Codec(("title", "lead", "body")).decode(message)
    assert article == Article(
        raw=message,
        id="7",
        fields=(TextField("title", "A"), TextField("lead", "L"), TextField("body", "B é")),
        has_reserved_fields=False,
    )


@pytest.mark.parametrize("absent", ['"title": null,', '"title": "",', ""])
def test_null_and_empty_text_fields_are_left_out(absent: str) -> None:
    assert decode(f'{{{absent} "id": "7", "body": "B"}}').fields == (TextField("body", "B"),)


def test_white_space_is_text() -> None:
    assert decode('{"id": "7", "title": " "}').fields == (TextField("title", " "),)


def test_text_is_exactly_what_came_in() -> None:
    text = "\u0000 e\u0301 \r\n\t👩‍🍳 ﷺ \u200f"
    assert decode(json.dumps({"id": "7", "title": text})).fields[0].text == text


def test_of_a_repeated_name_the_last_value_counts() -> None:
    article = decode('{"id": "1", "title": "first", "id": "2", "title": "second"}')
    assert (article.id, article.fields) == ("2", (TextField("title", "second"),))


def test_a_null_value_is_a_tombstone() -> None:
    message = raw(None)
    assert CODEC.decode(message) == Tombstone(message)


@pytest.mark.parametrize(
    ("value", "reserved"),
    [
        ('{"id": "7", "title": "x"}', False),
        ('{"id": "7", "title": "x", "meta": {"entities": 1, "tagging": 2}}', False),
        ('{"id": "7", "title": "x", "entities": null}', True),
        ('{"id": "7", "title": "x", "tagging": {}}', True),
        ('{"id": "7", "title": "x", "\\u0065ntities": []}', True),
    ],
)
def test_reserved_fields_are_noticed(value: str, reserved: bool) -> None:
    assert decode(value).has_reserved_fields is reserved


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        (b'{"id": "\xf6"}', "invalid_utf8", "byte 8 is 0xf6 (invalid start byte)"),
        (b'{"id": "7", "title": "\xed\xa0\xbd"}', "invalid_utf8", "byte 22 is 0xed"),
        (b'{"id": "7", "title": "\xc0\x80"}', "invalid_utf8", "byte 22 is 0xc0"),
        (b'{"id": "7", "title": "x"}\xe2\x82', "invalid_utf8", "byte 25 is 0xe2"),
        ('{"id": "7"}'.encode("utf-16"), "invalid_utf8", "it looks like UTF-16"),
        (b"\x1f\x8b\x08\x00\xff", "invalid_utf8", "it looks like gzip"),
        (b"\x28\xb5\x2f\xfd\x00", "invalid_utf8", "it looks like zstd"),
        (b"PK\x03\x04", "invalid_json", "it looks like a zip file"),
        (b"\x00\x00\x00\x00\x07{}", "invalid_json", "schema registry"),
        (b"", "invalid_json", "the value is empty;"),
        (b" \r\n\t", "invalid_json", "the value holds only white space;"),
        (b"headline", "invalid_json", "at line 1, column 1 (character 0)"),
        (b'{"id": "7",\n "title": "x"', "invalid_json", "at line 2, column 14 (character 25)"),
        ('{"id": "é", "title": x}', "invalid_json", "line 1, column 22 (character 21)"),
        ('{"id": "7", "title": "x", "n": NaN}', "invalid_json", "NaN and Infinity are not JSON"),
        ('{"id": "7", "title": "x", "n": -Infinity}', "invalid_json", "line 1, column"),
        ('{"id": "7", "title": "x", "n": Infinity}', "invalid_json", "NaN and Infinity are"),
        ('{"id": "7", "title": "x", "n": 1e999}', "invalid_json", "line 1, column 32"),
        ('{"id": "7", "title": "\\ud83d"}', "invalid_json", "line 1, column 23"),
        ('{"id": "7", "title": "\\ude00x"}', "invalid_json", "line 1"),
        ('{"id": "7", "\\ud83d": 1, "title": "x"}', "invalid_json", "line 1"),
        ('\ufeff\ufeff{"id": "7", "title": "x"}', "invalid_json", "BOM"),
        ('\ufeff{"id": "7", "title": x}', "invalid_json", "line 1, column 22 (character 21)"),
        ('{"id": "7", "title": "x"} x', "invalid_json", "line 1, column 27"),
        ('{"id": "7", "title": "x"}{}', "invalid_json", "line 1, column 26"),
        ('{"id": "7", "title": "a\nb"}', "invalid_json", "control character"),
        ("{'id': '7'}", "invalid_json", "line 1, column 2"),
        ('{"id": "7", "title": "x",}', "invalid_json", "line 1"),
        ("[" * 100_000, "nested_too_deep", "at most 128 are read"),
        ('{"a":' * 100_000, "nested_too_deep", "at most 128 are read"),
        (nested(100_000), "nested_too_deep", "at most 128 are read"),
        (nested(129), "nested_too_deep", "more than 128 levels"),
        ('{"id": "7", "title": "x", "z": ' + nested(128) + "}", "nested_too_deep", "128"),
        (
            '{"id": "7", "title": "x", "z": ' + '{"a":' * 128 + "1" + "}" * 129,
            "nested_too_deep",
            "",
        ),
        (nested(128), "not_an_object", "the value is a list of 1;"),
        ("[]", "not_an_object", "a list of 0; an article is a JSON object"),
        ('"article"', "not_an_object", "a string ('article')"),
        ("42.5", "not_an_object", "a number (42.5)"),
        ("true", "not_an_object", "the value is true;"),
        ("false", "not_an_object", "the value is false;"),
        ("null", "not_an_object", "the value is null;"),
        ("{}", "missing_id", 'field "id" is missing; the object is empty;'),
        ('{"Id": "7", "title": "x"}', "missing_id", 'there is "Id", "title"; an article has "id"'),
        (json.dumps(dict.fromkeys("abcdefghij")), "missing_id", '"h" and 2 more;'),
        ('{"id": "", "title": "x"}', "empty_id", 'field "id" is the empty string'),
        ('{"id": 4.2, "title": "x"}', "wrong_type", 'field "id" is a number (4.2); it must be'),
        ('{"id": null, "title": "x"}', "wrong_type", 'field "id" is null; it must be'),
        ('{"id": true, "title": "x"}', "wrong_type", 'field "id" is true;'),
        ('{"id": {"a": 1}, "title": "x"}', "wrong_type", 'field "id" is an object;'),
        (
            '{"id": "7", "title": 42}',
            "wrong_type",
            'field "title" is a number (42); a text field must be a string or null',
        ),
        ('{"id": "7", "title": "x", "body": ["a", "b"]}', "wrong_type", '"body" is a list of 2;'),
        ('{"id": "7", "title": false, "body": "x"}', "wrong_type", 'field "title" is false;'),
        ('{"id": "7"}', "no_text", 'no field "title" or "body"; there is "id"; at least one'),
        ('{"id": "7", "title": ""}', "no_text", 'there is no text in "title" or "body";'),
        ('{"id": "7", "title": null, "body": ""}', "no_text", "must be a non-empty string"),
    ],
)
def test_what_is_no_article_is_rejected_and_says_why(
    value: bytes | str, code: str, message: str
) -> None:
    found_code, found_message = rejected(value)
    assert found_code == code
    assert message in found_message
    assert "\n" not in found_message


def test_the_first_fault_in_the_order_of_the_codes_is_named() -> None:
    assert rejected('{"title": 5}')[0] == "missing_id"
    assert rejected('{"id": "", "title": 5}')[0] == "empty_id"
    assert rejected('{"id": 1.5, "title": 5}')[1].startswith('field "id"')


def test_codes_are_those_of_the_dead_letters() -> None:
    with pytest.raises(RejectedMessage) as caught:
        CODEC.decode(raw("{}"))
    assert caught.value.code is RejectCode.MISSING_ID


def test_messages_stay_short_whatever_they_quote() -> None:
    long = "x" * 100_000
    values = [
        json.dumps({long: 1}),
        json.dumps({"id": 1.5, "title": long}),
        json.dumps({"id": [], "title": long}),
        json.dumps({"id": "7", long: long}),
        json.dumps(long),
        '{"id": "7", "title": ' + "9" * 300 + "}",
    ]
    for value in values:
        assert len(rejected(value)[1]) < 500


def test_other_text_fields_take_the_place_of_title_and_body() -> None:
    codec = Codec(("headline", "text"))
    assert decode('{"id": "7", "headline": "H", "title": 5, "body": []}', codec).fields == (
        TextField("headline", "H"),
    )
    assert rejected('{"id": "7", "title": "x"}', codec) == (
        "no_text",
        'there is no field "headline" or "text"; there is "id", "title";'
        " at least one text field must be a non-empty string",
    )
    assert rejected('{"id": "7", "headline": 1, "text": "x"}', codec)[0] == "wrong_type"


def test_the_schema_alone_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    stricter = resources.schema("article.v1")
    stricter["properties"]["section"] = {"type": "string"}
    monkeypatch.setattr(resources, "schema", lambda _: stricter)
    codec = Codec(("title", "body"))
    assert decode('{"id": "7", "title": "x", "section": "s"}', codec).id == "7"
    code, message = rejected('{"id": "7", "title": "x", "section": 5}', codec)
    assert (code, message) == ("wrong_type", 'section: 5 is not of type "string"')


def test_the_adapted_schema_changes_nothing_where_nothing_is_changed() -> None:
    assert article_schema(("title", "body")) == resources.schema("article.v1")


def test_brackets_in_text_are_no_nesting() -> None:
    text = "[{" * 100_000
    assert decode(json.dumps({"id": "7", "title": text})).fields[0].text == text


def test_many_containers_side_by_side_are_no_nesting() -> None:
    assert decode(json.dumps({"id": "7", "title": "x", "z": [[{}]] * 1_000})).id == "7"


def test_broken_text_of_megabytes_is_refused_in_time_that_grows_with_its_length() -> None:
    # Searched again from each quote, this would take hours.
    assert rejected('{"id": "' + '\\"' * 1_000_000 + "[" * 200)[0] == "invalid_json"
    assert rejected('{"id": "7", "title": "x", "z": ' + '"a", ' * 300_000)[0] == "invalid_json"


# --- encode


def test_entities_and_tagging_stand_behind_the_article() -> None:
    out = encode(
        '{"id": "7", "title": "Inês in Lisbon"}',
        Entity("title", "PER", "Inês", 0, 4, 0.99810672345),
        Entity("title", "LOC", "Lisbon", 8, 14, 1.0),
    )
    document = orjson.loads(out)
    assert list(document) == ["id", "title", "entities", "tagging"]
    assert document["entities"] == [
        {"field": "title", "type": "PER", "text": "Inês", "start": 0, "end": 4, "score": 0.998107},
        {"field": "title", "type": "LOC", "text": "Lisbon", "start": 8, "end": 14, "score": 1.0},
    ]
    assert list(document["entities"][0]) == ["field", "type", "text", "start", "end", "score"]
    assert document["tagging"] == TAGGING
    assert OUTPUT.is_valid(document)


def test_an_article_without_entities_has_an_empty_list() -> None:
    assert orjson.loads(encode('{"id": "7", "title": "x"}'))["entities"] == []


def test_surfaces_are_escaped() -> None:
    text = '"\\/\u0000\n\u2028👋'
    out = encode(
        json.dumps({"id": "7", "title": text}), Entity("title", "MISC", text, 0, len(text), 0.5)
    )
    assert orjson.loads(out)["entities"][0]["text"] == text
    assert json.loads(out)["entities"][0]["text"] == text


def test_every_byte_of_the_article_stays() -> None:
    value = (
        ' \n{ "b" : 123456789012345678901234567890, "id":"7" ,\t"f": 1.0E+02, "g":-0.0,'
        ' "title":"\\u0041\\/", "z": [ 1 ,2 ], "b": {} \r\n} \n '
    )
    out = encode(value).decode()
    head, tail = value.rsplit("}", 1)
    assert out.startswith(head + ',"entities":[],"tagging":{"model":')
    assert out.endswith("}}" + tail)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (
            '{"entities": [1], "id": "7", "title": "x", "n": 12345678901234567890.10}',
            '{ "id": "7", "title": "x", "n": 12345678901234567890.10',
        ),
        ('{"id": "7", "title": "x", "tagging": {"a": "}"}}', '{"id": "7", "title": "x"'),
        ('{"id":"7","entities":"\\",\\"tagging","title":"x"}', '{"id":"7","title":"x"'),
        (
            '{"id": "7", "entities": null, "title": "x", "entities": 1, "tagging": 2 }',
            '{"id": "7", "title": "x"',
        ),
        ('{"id": "7", "\\u0065ntities": [], "title": "x"}', '{"id": "7", "title": "x"'),
        ('\n{ "tagging" :\n[{}, []] ,"":"" , "id": "7", "title": "x"\n}', None),
        (
            '{"a": {"entities": [1, {"tagging": 2}]}, "tagging": 1, "id": "7", "title": "[{,"}',
            '{"a": {"entities": [1, {"tagging": 2}]}, "id": "7", "title": "[{,"',
        ),
        (
            '{"title": "entities", "x": "tagging", "entities": 1, "id": "7"}',
            '{"title": "entities", "x": "tagging", "id": "7"',
        ),
    ],
)
def test_own_entities_and_tagging_are_replaced_and_the_rest_stays(
    value: str, kept: str | None
) -> None:
    out = encode(value).decode()
    if kept is not None:
        assert out.startswith(kept + ',"entities":[],"tagging":{"model":')
    pairs: list[tuple[str, Any]] = json.loads(out, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert names.count("entities") == names.count("tagging") == 1
    before = json.loads(value)
    before.update(entities=[], tagging=TAGGING)
    assert json.loads(out) == before


@pytest.mark.parametrize("rest", ['"title":"x"}', '"title":"x","tagging":1} '])
@pytest.mark.parametrize("output_field", ["", "x.y"])
def test_a_byte_order_mark_is_passed_over_and_stays_away(rest: str, output_field: str) -> None:
    codec = Codec(("title",), output_field=output_field)
    plain = '{"id":"7",' + rest
    outputs = []
    for text in (plain, "\ufeff" + plain):
        article = codec.decode(raw(text))
        assert isinstance(article, Article)
        outputs.append(codec.encode(TaggedArticle(article, (), 1, INFO), 1_000))
    assert outputs[1] == outputs[0]


def test_a_tombstone_cannot_be_encoded() -> None:
    article = decode('{"id": "7", "title": "x"}')._replace(raw=raw(None))
    with pytest.raises(ValueError, match="tombstone"):
        CODEC.encode(TaggedArticle(article, (), 1, INFO), AT_MS)


def test_each_article_names_its_own_model_and_time() -> None:
    codec = Codec(("title",))
    article = TaggedArticle(decode('{"id": "7", "title": "x"}', codec), (), 1, INFO)
    other = dataclasses.replace(INFO, name="other")
    calls = [(INFO, AT_MS), (INFO, AT_MS), (INFO, AT_MS + 1), (other, AT_MS + 1), (INFO, AT_MS)]
    written = [
        orjson.loads(codec.encode(article._replace(model=model), at_ms))["tagging"]
        for model, at_ms in calls
    ]
    later = "2026-11-23T06:40:02.319Z"
    assert written == [
        TAGGING,
        TAGGING,
        TAGGING | {"tagged_at": later},
        TAGGING | {"tagged_at": later, "model": "other"},
        TAGGING,
    ]


def test_ten_megabytes_are_copied_once() -> None:
    article = decode(b'{"id": "7", "title": "' + b"x" * 10_000_000 + b'"}')
    tracemalloc.start()
    try:
        out = CODEC.encode(TaggedArticle(article, (), 1, INFO), AT_MS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(out) > 10_000_000
    assert peak < 10_100_000


@pytest.mark.parametrize(
    ("timestamp_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (AT_MS, "2026-11-23T06:40:02.318Z"),
        (1_795_416_002_001, "2026-11-23T06:40:02.001Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds(timestamp_ms: int, text: str) -> None:
    assert rfc3339(timestamp_ms) == text


# --- both ways

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_names = st.one_of(_text, st.sampled_from(["entities", "tagging", "title", "body", "id"]))
_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        _text,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_text, inner, max_size=3)),
    max_leaves=8,
)
_documents = st.builds(
    lambda other, article: {**other, **article},
    st.dictionaries(_names, _values, max_size=5),
    st.fixed_dictionaries(
        {"id": _text.filter(bool), "body": _text.filter(bool)},
        optional={"title": st.one_of(st.none(), _text)},
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    document=_documents,
    ascii_only=st.booleans(),
    spaced=st.booleans(),
    at_ms=st.integers(0, 4 * 10**12),
)
def test_what_is_read_can_be_written_and_is_the_same(
    document: dict[str, Any], ascii_only: bool, spaced: bool, at_ms: int
) -> None:
    document.setdefault("title", None)
    if not isinstance(document["title"], str | None):
        document["title"] = "t"
    value = json.dumps(document, ensure_ascii=ascii_only, indent=2 if spaced else None)
    article = decode(value)
    assert [(field.name, field.text) for field in article.fields] == [
        (name, document[name]) for name in ("title", "body") if document[name]
    ]
    entity = Entity("body", "PER", document["body"], 0, len(document["body"]), math.pi / 4)
    out = CODEC.encode(TaggedArticle(article, (entity,), 1, INFO), at_ms)
    written = orjson.loads(out)
    assert OUTPUT.is_valid(written)
    assert written.pop("entities") == [
        {
            "field": "body",
            "type": "PER",
            "text": document["body"],
            "start": 0,
            "end": len(document["body"]),
            "score": 0.785398,
        }
    ]
    assert written.pop("tagging")["tagged_at"] == rfc3339(at_ms)
    expected = {k: v for k, v in document.items() if k not in ("entities", "tagging")}
    assert written == orjson.loads(json.dumps(expected))


@settings(max_examples=300, deadline=None)
@given(
    value=st.one_of(st.binary(max_size=40), st.text(string.printable, max_size=40).map(str.encode))
)
def test_any_bytes_are_an_article_or_a_dead_letter(value: bytes) -> None:
    with contextlib.suppress(RejectedMessage):
        assert decode(value).fields


@settings(max_examples=300, deadline=None)
@given(document=st.dictionaries(st.sampled_from(["id", "title", "body", "x"]), _values))
def test_each_refusal_of_the_schema_has_a_reason_of_its_own(document: dict[str, Any]) -> None:
    id = document.get("id")
    is_whole = isinstance(id, int) or (isinstance(id, float) and id.is_integer())
    fine = (
        (id != "" if isinstance(id, str) else is_whole and not isinstance(id, bool))
        and all(isinstance(document.get(name), str | None) for name in ("title", "body"))
        and any(document.get(name) for name in ("title", "body"))
    )
    value = json.dumps(document)
    if fine:
        # Of an integer of more than 64 bits the parser keeps what a double does.
        assert decode(value).id == str(orjson.loads(value)["id"])
    else:
        assert rejected(value)[1].startswith(("field", "there is no"))
