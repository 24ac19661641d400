"""JSON with a schema: the bytes are kept, and the schema takes what is added."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from consumer.codec.registry import framing
from consumer.codec.registry.json_schema import JsonSchemaFormat, with_additions
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.registry import RegisteredSchema, SchemaReference, SchemaType
from tests.codec.registry.additions import ADDITIONS, AT_TOP, tagged
from tests.support.memory.memory_registry import MemoryRegistry

ARTICLE = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Article",
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "n": {"type": "number"}},
    "additionalProperties": False,
}


class Rig:
    """A registry and the format that asks it."""

    def __init__(self, strategy: SubjectNameStrategy = SubjectNameStrategy.TOPIC) -> None:
        self.registry = MemoryRegistry()
        self.format = JsonSchemaFormat(
            self.registry,
            Subjects(strategy, "tagged"),
            AT_TOP,
        )

    def put(self, schema: Any, references: tuple[SchemaReference, ...] = ()) -> int:
        return self.registry.put(SchemaType.JSON, schema, references=references)

    def tagged(self, value: bytes) -> bytes:
        return tagged(self.format, value)


def test_the_bytes_are_kept() -> None:
    rig = Rig()
    text = b'{ "id": "a", "n": 1.50E2, "n": 3e400 }'.replace(b"3e400", b"12345678901234567890123")
    output = rig.tagged(framing.prefix(rig.put(ARTICLE)) + text)
    assert framing.schema_id_of(output) == 2
    assert output[5:].startswith(text[:-2])
    assert {name: json.loads(output[5:])[name] for name in ADDITIONS} == ADDITIONS


def test_members_that_a_message_brings_are_replaced() -> None:
    rig = Rig()
    output = rig.tagged(framing.prefix(rig.put(ARTICLE)) + b'{"id": "a", "entities": 5}')
    assert json.loads(output[5:]) == {"id": "a", **ADDITIONS}


#: Schemas that allow no other properties than those they name, each in another way.
CLOSED: dict[str, Any] = {
    "at the top": ARTICLE,
    "unevaluated": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"id": True, "n": True},
        "unevaluatedProperties": False,
    },
    "by reference": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/Article~1x",
        "definitions": {"Article/x": ARTICLE},
    },
    "one of several": {
        "oneOf": [
            {"properties": {"id": {"const": "b"}}, "additionalProperties": False},
            {"allOf": [{"$ref": "#/$defs/a"}]},
        ],
        "$defs": {"a": {"if": True, "then": ARTICLE}},
    },
    "with a rule for others": {**ARTICLE, "additionalProperties": {"type": "number"}},
    "a property of the same name": {
        "properties": {"id": True, "n": True, "entities": {"type": "number"}},
        "additionalProperties": False,
    },
    "open": {"type": "object"},
    "anything": True,
}


@pytest.mark.parametrize("name", CLOSED)
def test_the_schema_takes_what_is_added(name: str) -> None:
    document = {"id": "a", "n": 5}
    assert jsonschema_rs.is_valid(CLOSED[name], document)
    schema = with_additions(CLOSED[name], AT_TOP)
    valid = jsonschema_rs.validator_for(schema)
    assert valid.is_valid({**document, **ADDITIONS})
    assert valid.is_valid(document)
    if name not in ("open", "anything"):
        assert not valid.is_valid({**document, "other": "x"}) or "one of" in name
    if name != "anything":
        assert not valid.is_valid({**document, "entities": [{"field": 1}]})


def test_what_else_the_schema_says_is_kept() -> None:
    schema = with_additions(ARTICLE, AT_TOP)
    properties = schema.pop("properties")
    assert {**schema, "properties": {name: properties[name] for name in ("id", "n")}} == ARTICLE
    assert sorted(properties) == ["entities", "id", "n", "tagging"]


def test_references_are_kept() -> None:
    rig = Rig()
    reference = SchemaReference("agency.json", "agency", 1)
    schema = {"properties": {"by": {"$ref": "agency.json"}}}
    rig.tagged(framing.prefix(rig.put(schema, (reference,))) + b'{"id": "a"}')
    assert rig.registry.schemas[-1].references == (reference,)


def test_a_title_is_the_name() -> None:
    rig = Rig(SubjectNameStrategy.RECORD)
    rig.tagged(framing.prefix(rig.put(ARTICLE)) + b'{"id": "a"}')
    assert rig.registry.asked[-1] == "register Article"


def rejection(rig: Rig, value: bytes) -> tuple[str, str]:
    with pytest.raises(RejectedMessage) as caught:
        rig.format.parse(value)
    return caught.value.code, caught.value.message


def test_without_a_name_there_is_a_strategy_that_works() -> None:
    rig = Rig(SubjectNameStrategy.RECORD)
    code, message = rejection(rig, framing.prefix(rig.put({})) + b"{}")
    assert code == RejectCode.WRONG_SCHEMA
    assert "subject_name_strategy=topic" in message


def test_a_schema_that_is_none() -> None:
    rig = Rig()
    rig.registry.schemas.append(RegisteredSchema(SchemaType.JSON, "{"))
    assert rejection(rig, framing.prefix(1) + b"{}")[0] == RejectCode.WRONG_SCHEMA


def test_a_message_that_is_not_json() -> None:
    rig = Rig()
    code, _ = rejection(rig, framing.prefix(rig.put(ARTICLE)) + b"{")
    assert code == RejectCode.INVALID_JSON
