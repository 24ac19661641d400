"""Schemas of the fuzzed messages: each kind of type once."""

from __future__ import annotations

import json

from tests.codec.registry.protobuf_files import ARTICLE

_FLAT = {
    "type": "record",
    "name": "Article",
    "namespace": "news",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "title", "type": ["null", "string"]},
        {"name": "body", "type": "string"},
    ],
}

_RICH = {
    "type": "record",
    "name": "Rich",
    "namespace": "news",
    "fields": [
        {"name": "id", "type": ["long", "string"]},
        {"name": "body", "type": {"type": "string", "avro.java.string": "String"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
        {
            "name": "price",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        },
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
        {"name": "desk", "type": {"type": "enum", "name": "Desk", "symbols": ["A", "B"]}},
        {"name": "tags", "type": {"type": "array", "items": ["null", "string", "double"]}},
        {"name": "more", "type": {"type": "map", "values": "float"}},
        {
            "name": "next",
            "type": ["null", "Rich"],
        },
    ],
}

AVRO_SCHEMAS = (json.dumps(_FLAT), json.dumps(_RICH))

JSON_SCHEMAS = (
    json.dumps({"type": "object"}),
    json.dumps(
        {
            "title": "Article",
            "type": "object",
            "properties": {"id": {"type": "string"}, "body": {"$ref": "#/$defs/text"}},
            "$defs": {"text": {"type": "string"}},
            "additionalProperties": False,
        }
    ),
)

PROTOBUF_SCHEMAS = (
    'syntax = "proto3"; message Article { string id = 1; string title = 2; string body = 3; }',
    ARTICLE,
)
