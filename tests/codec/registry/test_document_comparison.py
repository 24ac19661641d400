"""What an output has kept of its article in Avro, with a JSON Schema, and in JSON made of Avro."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consumer.codec.article_codec import Codec
from consumer.codec.output_place import OutputPlace
from consumer.codec.registry import framing
from consumer.codec.registry.choice import comparison, message_format
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import InputFormat, SubjectNameStrategy
from consumer.contracts.messages import Article, Position, RawMessage, TaggedArticle, TopicPartition
from consumer.contracts.registry import SchemaType
from tests.codec.registry.protobuf_files import ARTICLE, compiled, message_class
from tests.support.fakes import MODEL
from tests.support.memory.memory_registry import MemoryRegistry, avro_message

SCHEMA = {
    "type": "record",
    "name": "Story",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "title", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "blob", "type": ["null", "bytes"], "default": None},
    ],
}
RECORD = {"id": "1", "title": "Rain in Oslo", "at": 1_700_000_000_000, "blob": b"\xff"}
FORMATS = (InputFormat.AVRO, InputFormat.JSON_SCHEMA, InputFormat.PROTOBUF)


def message(registry: MemoryRegistry, choice: InputFormat, record: dict[str, Any]) -> bytes:
    if choice is InputFormat.AVRO:
        return avro_message(registry.put(SchemaType.AVRO, SCHEMA), SCHEMA, record)
    if choice is InputFormat.PROTOBUF:
        schema_id = registry.put(SchemaType.PROTOBUF, ARTICLE)
        kind = message_class(compiled(ARTICLE), "news.Article")
        article = kind(id="1", title=record["title"], raw=record["blob"], numbers=[1, -1])
        # The second message of its file.
        return framing.prefix(schema_id) + b"\x02\x02" + bytes(article.SerializeToString())
    schema_id = registry.put(SchemaType.JSON, {"type": "object"})
    text = {**record, "blob": None}
    return framing.prefix(schema_id) + json.dumps(text).encode()


@pytest.mark.parametrize("output_field", ["", "nlp", "x.nlp"])
@pytest.mark.parametrize("to_json", [False, True])
@pytest.mark.parametrize("choice", FORMATS)
def test_of_an_article_all_is_kept_and_a_change_is_seen(
    choice: InputFormat, to_json: bool, output_field: str
) -> None:
    registry, place = MemoryRegistry(), OutputPlace(output_field)
    subjects = None if to_json else Subjects(SubjectNameStrategy.TOPIC, "out")
    value = message(registry, choice, RECORD)
    codec = Codec(
        ("title",),
        output_field=output_field,
        message_format=message_format(choice, registry, subjects, place),
    )
    raw = RawMessage(Position(TopicPartition("news", 0), 0), None, value, (), None, 0)
    article = codec.decode(raw)
    assert isinstance(article, Article)
    output = codec.encode(TaggedArticle(article, (), 1, MODEL), 1_000)
    registry.asked.clear()
    kept = comparison(choice, registry, place).kept
    original, is_tagged = kept(value)
    assert not is_tagged
    assert kept(output) == (original, True)
    spoilt = output.replace(b"Oslo", b"Bonn")
    assert kept(spoilt) != kept(output)
    assert not [one for one in registry.asked if one.startswith("register")], "it writes nothing"


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0\0\x63x", b"{", b"[1]", b"\xff"])
def test_what_is_no_article_stays_as_it_is(value: bytes) -> None:
    place = OutputPlace()
    assert comparison(InputFormat.AVRO, MemoryRegistry(), place).kept(value) == (value, False)
