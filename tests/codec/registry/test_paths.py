"""Paths, and the preset for ninjs, address Avro, Protobuf and JSON Schema as they do JSON.

The schemas are of the shape of IPTC's ninjs 2 and 3, in words of our own.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from consumer.codec.article_codec import Codec
from consumer.codec.registry import framing
from consumer.codec.registry.avro import AvroFormat
from consumer.codec.registry.json_schema import JsonSchemaFormat
from consumer.codec.registry.protobuf import ProtobufFormat
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import Preset, SubjectNameStrategy
from consumer.contracts.messages import Article, Untagged
from consumer.contracts.registry import SchemaType
from consumer.settings.schema import Settings
from tests.codec.registry.additions import AT_TOP
from tests.codec.registry.protobuf_files import compiled, message_class
from tests.support.fakes import raw
from tests.support.memory.memory_registry import MemoryRegistry, avro_message

ITEM = {
    "uri": "urn:newsroom:7",
    "type": "text",
    "headlines": [{"role": "main", "contentType": "text/plain", "value": "Nordbank names chief"}],
    "bodies": [
        {"role": "main", "contentType": "text/html", "value": "<p>Marta leads.</p>"},
        {"role": "main", "contentType": "text/plain", "value": "Marta leads."},
    ],
}
PICTURE = {"uri": "urn:newsroom:8", "type": "picture", "headlines": [], "bodies": []}

_TEXTS = {
    "type": "array",
    "items": {
        "type": "record",
        "name": "Text",
        "fields": [{"name": name, "type": "string"} for name in ("role", "contentType", "value")],
    },
}
AVRO = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "uri", "type": "string"},
        {"name": "type", "type": {"type": "enum", "name": "Kind", "symbols": ["text", "picture"]}},
        {"name": "headlines", "type": _TEXTS},
        {"name": "bodies", "type": {"type": "array", "items": "Text"}},
    ],
}
PROTOBUF = """
syntax = "proto3";
message Item {
  message Text { string role = 1; string contentType = 2; string value = 3; }
  string uri = 1;
  string type = 2;
  repeated Text headlines = 3;
  repeated Text bodies = 4;
}
"""
_TEXT_RULE = {
    "type": "array",
    "items": {"properties": {"value": {"type": "string"}}, "additionalProperties": True},
}
JSON_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Item",
    "type": "object",
    "properties": {"uri": {"type": "string"}, "type": {"enum": ["text", "picture"]}},
    "patternProperties": {"^(headlines|bodies)$": _TEXT_RULE},
    "additionalProperties": False,
    "required": ["uri"],
}


def codec_and_message(name: str, item: dict[str, Any]) -> tuple[Codec, bytes]:
    registry = MemoryRegistry()
    made: dict[str, tuple[Any, SchemaType, Any]] = {
        "avro": (AvroFormat, SchemaType.AVRO, AVRO),
        "protobuf": (ProtobufFormat, SchemaType.PROTOBUF, PROTOBUF),
        "json-schema": (JsonSchemaFormat, SchemaType.JSON, JSON_SCHEMA),
    }
    form, kind, schema = made[name]
    schema_id = registry.put(kind, schema)
    if name == "avro":
        value = avro_message(schema_id, AVRO, item)
    elif name == "protobuf":
        message = message_class(compiled(PROTOBUF), "Item")(**item)
        value = framing.prefix(schema_id) + b"\x00" + message.SerializeToString()
    else:
        value = framing.prefix(schema_id) + json.dumps(item).encode()
    settings = Settings(preset=Preset.NINJS)
    codec = Codec(
        settings.text_fields,
        id_field=settings.id_field,
        no_text=settings.no_text,
        message_format=form(registry, Subjects(SubjectNameStrategy.TOPIC, "tagged"), AT_TOP),
    )
    return codec, value


@pytest.mark.parametrize("name", ["avro", "protobuf", "json-schema"])
def test_the_preset_for_ninjs_finds_the_texts(name: str) -> None:
    codec, value = codec_and_message(name, ITEM)
    article = codec.decode(raw(0, value))
    assert isinstance(article, Article)
    assert [(one.name, one.text) for one in article.fields] == [
        ("/headlines/0/value", "Nordbank names chief"),
        ("/bodies/1/value", "Marta leads."),
    ]


@pytest.mark.parametrize("name", ["avro", "protobuf", "json-schema"])
def test_a_picture_passes_untagged(name: str) -> None:
    codec, value = codec_and_message(name, PICTURE)
    outcome = codec.decode(raw(0, value))
    assert isinstance(outcome, Untagged)
    written = codec.encode(outcome, 1_700_000_000_000)
    assert b"no_text" in written
    assert isinstance(codec.decode(raw(0, written)), Untagged)
