"""The schemas in Avro and Protobuf say what those in JSON Schema say, and what the code writes."""

from __future__ import annotations

import json
from typing import Any

import fastavro
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from consumer import resources
from consumer.codec.registry import avro_schema, protobuf_schema
from consumer.codec.registry.avro_names import with_full_names
from tests.codec.registry.additions import AT_TOP
from tests.codec.registry.protobuf_files import compiled

FOLDER = resources.schemas_folder()


def avro(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.avsc").read_bytes())


def protobuf(name: str) -> FileDescriptorProto:
    return compiled((FOLDER / f"{name}.proto").read_text())


def undocumented(schema: Any) -> Any:
    """The same schema without its comments."""
    if isinstance(schema, dict):
        return {name: undocumented(one) for name, one in schema.items() if name != "doc"}
    return [undocumented(one) for one in schema] if isinstance(schema, list) else schema


def test_the_article_has_the_fields_of_the_json_schema() -> None:
    properties = resources.schema("article.v1")["properties"]
    fields = avro("article.v1")["fields"]
    assert [field["name"] for field in fields] == list(properties)
    texts = [name for name, rule in properties.items() if "$ref" in rule]
    for field in fields:
        assert field["type"] == (["null", "string"] if field["name"] in texts else "string")
    (message,) = protobuf("article.v1").message_type
    assert [(field.name, field.type) for field in message.field] == [
        (name, message.field[0].TYPE_STRING) for name in properties
    ]
    assert [field.proto3_optional for field in message.field] == [
        name in texts for name in properties
    ]


def test_the_output_in_avro_is_what_the_code_makes_of_the_input() -> None:
    fields = [avro_schema.addition_field(name, shape) for name, shape in AT_TOP.top.items()]
    text = json.dumps(avro("article.v1"))
    made, _ = avro_schema.with_additions(avro_schema.read_schema(text, []), fields)
    assert undocumented(avro("tagged_article.v1")) == undocumented(made)


def test_the_output_in_protobuf_is_what_the_code_makes_of_the_input() -> None:
    made = protobuf_schema.with_additions(protobuf("article.v1"), [0], AT_TOP.top)
    written = protobuf("tagged_article.v1")
    for file in (made, written):
        for message in file.message_type:
            for field in message.field:
                field.ClearField("json_name")
    assert written == made


def test_what_is_added_has_the_fields_of_the_json_schema() -> None:
    definitions = resources.schema("tagged_article.v1")["$defs"]
    types = {
        one["name"].rpartition(".")[2].lower(): [field["name"] for field in one["fields"]]
        for one in avro_schema.read_schema(
            json.dumps(avro("tagged_article.v1")), []
        ).definitions.values()
    }
    for name in ("entity", "tagging"):
        assert types[name] == list(definitions[name]["properties"])


@pytest.mark.parametrize("name", ["article.v1", "tagged_article.v1"])
def test_the_avro_schemas_take_the_examples(name: str) -> None:
    schema = fastavro.parse_schema(with_full_names(avro(name)))
    examples = resources.schema(name)["examples"]
    assert examples
    for example in examples:
        fastavro.validate(example, schema)
