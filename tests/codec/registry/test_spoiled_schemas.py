"""A schema that is spoiled spoils its own messages, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consumer.codec.registry import framing
from consumer.codec.registry.avro import AvroFormat
from consumer.codec.registry.json_schema import JsonSchemaFormat
from consumer.codec.registry.protobuf import ProtobufFormat
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from consumer.contracts.errors import RegistryUnavailable, RejectedMessage
from consumer.contracts.registry import RegisteredSchema, SchemaType
from tests.codec.registry.additions import AT_TOP
from tests.support.memory_registry import MemoryRegistry

FORMATS: dict[SchemaType, Any] = {
    SchemaType.AVRO: AvroFormat,
    SchemaType.JSON: JsonSchemaFormat,
    SchemaType.PROTOBUF: ProtobufFormat,
}

SPOILED = [
    (SchemaType.AVRO, {"type": "record", "name": "A", "fields": [{"na#e": "x", "type": "int"}]}),
    (SchemaType.AVRO, {"type": "record", "name": "A", "fields": [{"name": "x"}]}),
    (SchemaType.AVRO, {"type": "record", "name": "A", "fields": [7]}),
    (SchemaType.AVRO, {"type": "record", "name": "A", "fields": {"name": "x"}}),
    (SchemaType.AVRO, {"type": "record", "name": ["A"], "fields": []}),
    (SchemaType.AVRO, {"type": "record", "fields": []}),
    (SchemaType.AVRO, {"type": {"type": {"type": 7}}}),
    (SchemaType.AVRO, 7),
    (SchemaType.JSON, {"allOf": 7}),
    (SchemaType.JSON, {"oneOf": [{"dependentSchemas": []}]}),
    (SchemaType.JSON, {"type": "object", "properties": []}),
    (SchemaType.PROTOBUF, 'syntax = "proto3"; message Article { strin id = 1; }'),
    (SchemaType.PROTOBUF, "CgR4"),
]


@pytest.mark.parametrize(("kind", "schema"), SPOILED)
def test_its_messages_are_rejected_each_time(kind: SchemaType, schema: Any) -> None:
    registry = MemoryRegistry()
    text = schema if isinstance(schema, str) else json.dumps(schema)
    registry.schemas.append(RegisteredSchema(kind, text, ()))
    form = FORMATS[kind](registry, Subjects(SubjectNameStrategy.TOPIC, "tagged"), AT_TOP)
    for _ in range(2):
        with pytest.raises(RejectedMessage) as refused:
            form.parse(framing.prefix(1) + b"\x00")
        assert refused.value.code == RejectCode.WRONG_SCHEMA
        assert "schema 1: " in refused.value.message
    assert registry.asked == ["schema 1"]


def test_a_registry_that_is_away_is_waited_for_all_the_same() -> None:
    registry = MemoryRegistry()
    registry.put(SchemaType.AVRO, {"type": "record", "name": "A", "fields": []})
    form = AvroFormat(registry, Subjects(SubjectNameStrategy.TOPIC, "tagged"), AT_TOP)
    registry.fault = RegistryUnavailable("away")
    with pytest.raises(RegistryUnavailable):
        form.parse(framing.prefix(1) + b"\x00")
    registry.fault = None
    assert form.parse(framing.prefix(1)) == {}
