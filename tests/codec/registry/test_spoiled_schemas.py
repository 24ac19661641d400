"""A schema that is spoiled spoils its own messages, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from consumer.codec.registry import framing
from consumer.codec.registry.avro import AvroFormat
from consumer.codec.registry.json_schema import JsonSchemaFormat
from consumer.codec.registry.protobuf import ProtobufFormat
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from consumer.contracts.errors import RegistryUnavailable, RejectedMessage
from consumer.contracts.registry import RegisteredSchema, SchemaReference, SchemaType
from tests.codec.registry.additions import AT_TOP
from tests.support.memory.memory_registry import MemoryRegistry

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


def asked_for(count: int, uses: Callable[[int], list[tuple[str, int]]]) -> tuple[list[str], str]:
    """What a reader of Protobuf asks a registry whose schemas use each other, and what it says.

    Args:
        uses: the names and numbers of the schemas that a schema uses, by its own number.
    """
    registry = MemoryRegistry()
    for number in range(count):
        file = FileDescriptorProto(name="any", syntax="proto3")
        file.message_type.add(name=f"Message{number}")
        references = [SchemaReference(name, f"s{other}", 1) for name, other in uses(number)]
        text = base64.b64encode(file.SerializeToString()).decode()
        registry.schemas.append(RegisteredSchema(SchemaType.PROTOBUF, text, tuple(references)))
        registry.subjects[f"s{number}"] = [number + 1]
    form = ProtobufFormat(registry, Subjects(SubjectNameStrategy.TOPIC, "tagged"), AT_TOP)
    said = ""
    try:
        form.parse(framing.prefix(1) + b"\x00")
    except RejectedMessage as refused:
        said = refused.message
    return [one for one in registry.asked if one.startswith("referenced ")], said


def test_a_schema_that_many_use_is_asked_for_once() -> None:
    """Each of 40 uses the next by two names: by each way it would be asked for a trillion times."""
    asked, _ = asked_for(40, lambda n: [(f"{way}{n + 1}", n + 1) for way in "ab" if n < 39])
    assert sorted(asked) == sorted(f"referenced {way}{n}" for n in range(1, 40) for way in "ab")


def test_schemas_that_use_each_other_end() -> None:
    asked, _ = asked_for(2, lambda n: [(f"n{1 - n}", 1 - n)])
    assert asked == ["referenced n1", "referenced n0"]


def test_a_schema_that_uses_too_many_is_refused() -> None:
    asked, said = asked_for(2, lambda n: [(f"n{other}", 1) for other in range(501) if n == 0])
    assert len(asked) == 500
    assert said == "schema 1: its schema uses more than 500 others"
