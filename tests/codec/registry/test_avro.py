"""Avro: everything that a schema may hold goes through unchanged."""

from __future__ import annotations

import datetime
import io
import json
import uuid
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.codec.registry.avro import AvroFormat
from consumer.codec.registry.framing import PREFIX_BYTES
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from consumer.contracts.errors import RegistryUnavailable, RejectedMessage
from consumer.contracts.registry import RegisteredSchema, SchemaReference, SchemaType
from tests.codec.registry.additions import AT_TOP, ENTITIES, IN_AVRO, tagged
from tests.support.memory.memory_registry import MemoryRegistry, avro_message, avro_read


class Rig:
    """A registry and the format that asks it."""

    def __init__(self, strategy: SubjectNameStrategy = SubjectNameStrategy.TOPIC) -> None:
        self.registry = MemoryRegistry()
        self.now = 0.0
        self.format = AvroFormat(
            self.registry, Subjects(strategy, "tagged"), AT_TOP, lambda: self.now
        )

    def put(self, schema: Any, references: tuple[SchemaReference, ...] = ()) -> int:
        return self.registry.put(SchemaType.AVRO, schema, references=references)

    def tagged(self, value: bytes) -> bytes:
        return tagged(self.format, value)

    def through(self, schema: Any, record: Any) -> tuple[Any, Any, Any]:
        """What is read of a message, what a reader makes of the output, and its schema."""
        value = avro_message(self.put(schema), schema, record)
        output = self.tagged(value)
        assert output[PREFIX_BYTES:].startswith(value[PREFIX_BYTES:])
        written = json.loads(self.registry.text(output))
        return self.format.parse(value), avro_read(output, written), written


def record_of(*fields: Any, name: str = "Article") -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "namespace": "news",
        "fields": [{"name": "id", "type": "string"}, *fields],
    }


def rejection(rig: Rig, value: bytes) -> tuple[str, str]:
    with pytest.raises(RejectedMessage) as caught:
        rig.format.parse(value)
    return caught.value.code, caught.value.message


NOW = datetime.datetime(2026, 11, 29, 8, 30, 1, 250_000, tzinfo=datetime.UTC)

#: A type, a value, and what a path finds there.
KINDS: dict[str, tuple[Any, Any, Any]] = {
    "null": ("null", None, None),
    "boolean": ("boolean", True, True),
    "int": ("int", -(2**31), -(2**31)),
    "long": ("long", 2**63 - 1, 2**63 - 1),
    "float": ("float", 0.5, 0.5),
    "double": ("double", 1e308, 1e308),
    "bytes": ("bytes", b"\x00\xff\x80", b"\x00\xff\x80"),
    "string": ("string", "Zürich \U0001f600", "Zürich \U0001f600"),
    "fixed": ({"type": "fixed", "name": "Digest", "size": 3}, b"abc", b"abc"),
    "enum": (
        {"type": "enum", "name": "Desk", "symbols": ["WORLD", "SPORT"], "default": "WORLD"},
        "SPORT",
        "SPORT",
    ),
    "array": ({"type": "array", "items": "long"}, [1, -1, 2**40], [1, -1, 2**40]),
    "map": ({"type": "map", "values": ["null", "int"]}, {"a": 1, "b": None}, {"a": 1, "b": None}),
    "optional": (["null", "string"], "there", "there"),
    "absent": (["null", "string"], None, None),
    # As wide numbers would be coerced to the first branch that takes them.
    "union of numbers": (["int", "long", "float", "double", "string"], 7, 7),
    "decimal": (
        {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4},
        Decimal("-12345678.9012"),
        (-123456789012).to_bytes(5, "big", signed=True),
    ),
    "decimal in fixed": (
        {
            "type": "fixed",
            "name": "Money",
            "size": 4,
            "logicalType": "decimal",
            "precision": 8,
            "scale": 2,
        },
        Decimal("3.10"),
        b"\x00\x00\x016",
    ),
    "date": ({"type": "int", "logicalType": "date"}, NOW.date(), 20_786),
    "time": ({"type": "int", "logicalType": "time-millis"}, datetime.time(0, 0, 1), 1_000),
    "timestamp-millis": (
        {"type": "long", "logicalType": "timestamp-millis"},
        NOW,
        int(NOW.timestamp() * 1000),
    ),
    "timestamp-micros": (
        {"type": "long", "logicalType": "timestamp-micros"},
        NOW,
        int(NOW.timestamp() * 1_000_000),
    ),
    "local-timestamp": (
        {"type": "long", "logicalType": "local-timestamp-millis"},
        NOW.replace(tzinfo=None),
        int(NOW.timestamp() * 1000),
    ),
    "uuid": (
        {"type": "string", "logicalType": "uuid"},
        uuid.UUID(int=5),
        "00000000-0000-0000-0000-000000000005",
    ),
    "unknown logical type": ({"type": "string", "logicalType": "iso-country"}, "CH", "CH"),
    "nested": (
        {
            "type": "record",
            "name": "Payload",
            "fields": [
                {"name": "after", "type": ["null", record_of(name="Inner")]},
                {"name": "n", "type": "int", "default": 4},
            ],
        },
        {"after": {"id": "i"}, "n": 5},
        {"after": {"id": "i"}, "n": 5},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_any_type_goes_through(kind: str) -> None:
    schema, value, plain = KINDS[kind]
    field = {"name": "x", "type": schema, "doc": "kept", "order": "ignore", "custom": [1]}
    rig = Rig()
    tree, read, written = rig.through(record_of(field), {"id": "a", "x": value})
    assert tree == {"id": "a", "x": plain}
    assert read.pop("entities") == ENTITIES
    assert read.pop("tagging") == IN_AVRO["tagging"]
    assert read == avro_read(
        avro_message(1, record_of(field), {"id": "a", "x": value}), record_of(field)
    )
    # The schema is the input's, and then what is added.
    assert written["fields"][:2] == [{"name": "id", "type": "string"}, field]
    assert [one["name"] for one in written["fields"][2:]] == ["entities", "tagging"]


def test_the_output_has_the_input_s_bytes_and_schema() -> None:
    rig = Rig()
    schema = record_of({"name": "title", "type": ["null", "string"], "default": None})
    schema |= {"doc": "An article.", "aliases": ["Story"]}
    _, read, written = rig.through(schema, {"id": "a", "title": "Genève"})
    assert read["title"] == "Genève"
    assert {**written, "fields": written["fields"][:2]} == schema


def test_readers_of_either_schema_read_the_other_s_messages() -> None:
    """What is added has defaults, and stands behind the rest."""
    rig = Rig()
    schema = record_of({"name": "title", "type": "string"})
    value = avro_message(rig.put(schema), schema, {"id": "a", "title": "Oslo"})
    output = rig.tagged(value)
    written = json.loads(rig.registry.text(output))

    def resolved(message: bytes, by: Any, reader: Any) -> Any:
        return fastavro.schemaless_reader(
            io.BytesIO(message[PREFIX_BYTES:]), fastavro.parse_schema(by), reader
        )

    assert resolved(output, written, schema) == {"id": "a", "title": "Oslo"}
    new = resolved(value, schema, written)
    assert new == {"id": "a", "title": "Oslo", "entities": [], "tagging": None}


def test_a_schema_is_fetched_and_registered_once() -> None:
    rig = Rig()
    schema = record_of()
    value = avro_message(rig.put(schema), schema, {"id": "a"})
    for _ in range(3):
        rig.tagged(value)
    assert rig.registry.asked == ["schema 1", "register tagged-value"]


def test_each_version_of_a_schema_has_its_own_output() -> None:
    rig = Rig()
    old, new = record_of(), record_of({"name": "n", "type": "int", "default": 0})
    first = avro_message(rig.put(old), old, {"id": "a"})
    second = avro_message(rig.put(new), new, {"id": "a", "n": 3})
    outputs = [rig.tagged(value) for value in (first, second, first)]
    assert outputs[0] == outputs[2]
    assert avro_read(outputs[1], json.loads(rig.registry.text(outputs[1])))["n"] == 3
    assert len(rig.registry.subjects["tagged-value"]) == 2


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [
        (SubjectNameStrategy.TOPIC, "tagged-value"),
        (SubjectNameStrategy.RECORD, "news.Article"),
        (SubjectNameStrategy.TOPIC_RECORD, "tagged-news.Article"),
    ],
)
def test_the_strategy_names_the_subject(strategy: SubjectNameStrategy, subject: str) -> None:
    rig = Rig(strategy)
    rig.through(record_of(), {"id": "a"})
    assert rig.registry.asked[-1] == f"register {subject}"


class TestFieldsOfTheSameName:
    def test_those_that_a_message_brings_are_replaced(self) -> None:
        rig = Rig()
        schema = record_of(
            {"name": "tagging", "type": ["null", "string"]},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 5}},
            {"name": "entities", "type": {"type": "map", "values": "int"}},
            {"name": "last", "type": "string"},
        )
        record = {"id": "a", "tagging": "x", "price": 12, "entities": {"e": 1}, "last": "z"}
        value = avro_message(rig.put(schema), schema, {**record, "price": Decimal(12)})
        output = rig.tagged(value)
        written = json.loads(rig.registry.text(output))
        read = avro_read(output, written)
        assert read == {"id": "a", "price": Decimal(12), "last": "z", **IN_AVRO}

    def test_a_message_that_is_tagged_again_keeps_its_schema(self) -> None:
        rig = Rig()
        value = avro_message(rig.put(record_of()), record_of(), {"id": "a"})
        once = rig.tagged(value)
        twice = rig.tagged(once)
        assert twice == once

    def test_a_type_of_our_name_that_is_another_is_refused(self) -> None:
        rig = Rig()
        other = {"type": "record", "name": "nerstream.Entity", "fields": []}
        schema = record_of({"name": "x", "type": other})
        value = avro_message(rig.put(schema), schema, {"id": "a", "x": {}})
        code, message = rejection(rig, value)
        assert code == RejectCode.WRONG_SCHEMA
        assert "nerstream.Entity" in message


class TestShapesOfSchemas:
    def test_a_union_of_records(self) -> None:
        rig = Rig()
        video = record_of({"name": "seconds", "type": "int"}, name="Video")
        schema = ["null", record_of(), video]
        for number, record in ((1, {"id": "a"}), (2, {"id": "b", "seconds": 3})):
            name = schema[number]["name"]  # type: ignore[index]
            value = avro_message(rig.put(schema), schema, (f"news.{name}", record))
            output = rig.tagged(value)
            read = avro_read(output, json.loads(rig.registry.text(output)))
            assert read == (f"news.{name}", {**record, **IN_AVRO})

    def test_a_record_that_holds_its_own_kind(self) -> None:
        """Those inside stay as they were: what is added stands in the outermost alone."""
        rig = Rig()
        desk = {"type": "enum", "name": "Desk", "symbols": ["A", "B"]}
        schema = record_of(
            {"name": "desk", "type": desk},
            {"name": "related", "type": {"type": "array", "items": "Article"}},
        )
        inner = {"id": "b", "desk": "B", "related": []}
        tree, read, written = rig.through(schema, {"id": "a", "desk": "A", "related": [inner]})
        assert tree == {"id": "a", "desk": "A", "related": [inner]}
        assert read == {"id": "a", "desk": "A", "related": [inner], **IN_AVRO}
        assert written["name"] == "news.ArticleTagged"

    def test_levels_without_end_are_a_rejection(self) -> None:
        """In C they end the process."""
        rig = Rig()
        schema = record_of({"name": "next", "type": ["null", "Article"]})
        deep = b"\x00\x00\x00\x00\x01" + b"\x02a\x02" * 300_000 + b"\x02a\x00"
        rig.put(schema)
        assert rejection(rig, deep)[0] == RejectCode.NESTED_TOO_DEEP

    def test_references_are_kept(self) -> None:
        rig = Rig()
        agency = {
            "type": "record",
            "name": "Agency",
            "namespace": "news",
            "fields": [{"name": "name", "type": "string"}],
        }
        rig.registry.put(SchemaType.AVRO, agency, "agency")
        reference = SchemaReference("news.Agency", "agency", 1)
        schema = record_of({"name": "by", "type": "Agency"})
        schema_id = rig.put(schema, (reference,))
        whole = record_of({"name": "by", "type": agency})
        value = avro_message(schema_id, whole, {"id": "a", "by": {"name": "x"}})
        output = rig.tagged(value)
        registered = rig.registry.schemas[-1]
        assert registered.references == (reference,)
        assert rig.format.parse(value)["by"] == {"name": "x"}
        written = json.loads(registered.text)
        written["fields"][1]["type"] = agency
        assert avro_read(output, written)["by"] == {"name": "x"}

    def test_a_schema_that_is_only_a_reference(self) -> None:
        rig = Rig()
        rig.registry.put(SchemaType.AVRO, record_of(), "article")
        reference = SchemaReference("news.Article", "article", 1)
        schema_id = rig.put('["news.Article"]', (reference,))
        value = avro_message(schema_id, [record_of()], {"id": "a"})
        output = rig.tagged(value)
        assert avro_read(output, json.loads(rig.registry.text(output)))["entities"] == ENTITIES

    def test_what_is_no_record_is_read_all_the_same(self) -> None:
        rig = Rig()
        value = avro_message(rig.put('"string"'), "string", "text")
        assert rig.format.parse(value) == "text"


class TestBadMessages:
    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (b"", "empty"),
            (b"\x00\x00\x00", "only 3 bytes"),
            (b'{"id": "a"}', "input_format=json"),
            (b"\x01\x00\x00\x00\x01\x02a", "01 00 00 00 01 02 61"),
        ],
    )
    def test_without_the_magic_byte(self, value: bytes, said: str) -> None:
        code, message = rejection(Rig(), value)
        assert code == RejectCode.NOT_FRAMED
        assert said in message

    def test_an_unknown_id_is_asked_for_again_only_later(self) -> None:
        rig = Rig()
        for _ in range(3):
            code, message = rejection(rig, b"\x00\x00\x00\x00\x01\x02a")
            assert code == RejectCode.UNKNOWN_SCHEMA
            assert "schema 1" in message
        assert rig.registry.asked == ["schema 1"]
        rig.put(record_of())
        rig.now += 60
        assert rig.format.parse(b"\x00\x00\x00\x00\x01\x02a") == {"id": "a"}

    @pytest.mark.parametrize(
        ("payload", "said"),
        [
            (b"", "middle of a field"),
            (b"\x0aab", "Expected 5 bytes"),
            (b"\x02\xff", "utf-8"),
            (b"\x02a\x00\x00", "2 are left"),
        ],
    )
    def test_bytes_that_do_not_fit(self, payload: bytes, said: str) -> None:
        rig = Rig()
        rig.put(record_of())
        code, message = rejection(rig, b"\x00\x00\x00\x00\x01" + payload)
        assert code == RejectCode.INVALID_AVRO
        assert said in message

    def test_a_schema_of_another_format(self) -> None:
        rig = Rig()
        rig.registry.put(SchemaType.JSON, "{}")
        code, message = rejection(rig, b"\x00\x00\x00\x00\x01{}")
        assert code == RejectCode.WRONG_SCHEMA
        assert "JSON" in message

    @pytest.mark.parametrize("text", ["{", '"nothing.Known"', '{"type": "record"}', "[1]", "3"])
    def test_a_schema_that_is_none(self, text: str) -> None:
        rig = Rig()
        rig.registry.schemas.append(RegisteredSchema(SchemaType.AVRO, text))
        assert rejection(rig, b"\x00\x00\x00\x00\x01a")[0] == RejectCode.WRONG_SCHEMA

    @pytest.mark.parametrize(
        "items", ["null", {"type": "record", "name": "E", "fields": []}, ["null"]]
    )
    def test_items_without_bytes(self, items: Any) -> None:
        """A few bytes could claim a million million of them."""
        rig = Rig()
        schema = record_of({"name": "x", "type": {"type": "array", "items": items}})
        rig.put(schema)
        if items == ["null"]:  # its branch takes a byte
            assert rig.format.parse(avro_message(1, schema, {"id": "a", "x": [None]}))
        else:
            assert rejection(rig, b"\x00\x00\x00\x00\x01\x02a")[0] == RejectCode.WRONG_SCHEMA

    @settings(deadline=None)  # a busy machine is no fault
    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_record_or_a_rejection(self, payload: bytes) -> None:
        rig = Rig()
        rig.put(
            record_of(
                *(
                    {"name": f"x{i}", "type": kind}
                    for i, (kind, _, _) in enumerate(
                        KINDS[name]
                        for name in ("map", "array", "optional", "enum", "nested", "decimal")
                    )
                )
            )
        )
        try:
            tree = rig.format.parse(b"\x00\x00\x00\x00\x01" + payload)
        except RejectedMessage as reason:
            code = reason.code
        else:
            assert isinstance(tree["id"], str)
            return
        assert code == RejectCode.INVALID_AVRO


def test_a_registry_that_is_away_says_nothing_about_the_message() -> None:
    rig = Rig()
    schema = record_of()
    value = avro_message(rig.put(schema), schema, {"id": "a"})
    rig.registry.fault = RegistryUnavailable("away")
    for _ in range(2):
        with pytest.raises(RegistryUnavailable):
            rig.format.parse(value)
    rig.registry.fault = None
    assert rig.format.parse(value) == {"id": "a"}
