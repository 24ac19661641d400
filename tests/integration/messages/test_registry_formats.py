"""Confluent's own serialisers write the input and read the output, through a real registry."""

from __future__ import annotations

import datetime
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from consumer.codec.registry.avro import AvroFormat
from consumer.codec.registry.formats import RegistryFormat
from consumer.codec.registry.framing import schema_id_of
from consumer.codec.registry.json_schema import JsonSchemaFormat
from consumer.codec.registry.protobuf import ProtobufFormat
from consumer.codec.registry.protobuf_schema import with_additions
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from consumer.contracts.errors import RegistryProblem, RejectedMessage
from consumer.kafka.registry import ConfluentRegistry
from tests.codec.registry.additions import ADDITIONS, AT_TOP, ENTITIES, IN_AVRO, tagged
from tests.codec.registry.protobuf_files import ARTICLE as PROTO_ARTICLE
from tests.codec.registry.protobuf_files import compiled, message_class


class Rig:
    """The registry, a topic of one's own, and formats that read it."""

    def __init__(self, url: str) -> None:
        self.client = SchemaRegistryClient({"url": url})
        self.registry = ConfluentRegistry({"url": url})
        self.topic = f"articles-{uuid.uuid4().hex[:8]}"
        self.output = f"{self.topic}-tagged"
        self.strategy = SubjectNameStrategy.TOPIC

    def format(self, kind: Callable[..., RegistryFormat[Any]], **more: Any) -> Any:
        subjects = Subjects(self.strategy, self.output)
        return kind(self.registry, subjects, AT_TOP, **more)

    def context(self, topic: str) -> SerializationContext:
        return SerializationContext(topic, MessageField.VALUE)

    def tagged(self, form: Any, value: bytes) -> bytes:
        return tagged(form, value)


@pytest.fixture
def rig(registry: str) -> Iterator[Rig]:
    made = Rig(registry)
    yield made
    made.client.close()
    made.registry.close()


AVRO = {
    "type": "record",
    "name": "Article",
    "namespace": "news",
    "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "title", "type": ["null", "string"], "default": None},
        {
            "name": "price",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        },
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}
TOPIC = {"auto.register.schemas": True, "subject.name.strategy.type": "TOPIC"}
READING = {"subject.name.strategy.type": "TOPIC"}


def test_avro(rig: Rig) -> None:
    record = {
        "id": uuid.UUID(int=7),
        "title": "Genève",
        "price": Decimal("12.50"),
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=datetime.UTC),
    }
    write = AvroSerializer(rig.client, json.dumps(AVRO), conf=TOPIC)
    value = write(record, rig.context(rig.topic))
    assert value is not None
    output = rig.tagged(rig.format(AvroFormat), value)
    read = AvroDeserializer(rig.client, conf=READING)(output, rig.context(rig.output))
    assert read == {**record, **IN_AVRO}
    # Who knows the input's schema reads on.
    older = AvroDeserializer(rig.client, json.dumps(AVRO), conf=READING)
    assert older(output, rig.context(rig.output)) == record
    latest = rig.client.get_latest_version(f"{rig.output}-value")
    assert latest.schema.schema_type == "AVRO"


def test_json_schema(rig: Rig) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Article",
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "additionalProperties": False,
    }
    write = JSONSerializer(json.dumps(schema), rig.client, conf=TOPIC)
    value = write({"id": "a"}, rig.context(rig.topic))
    assert value is not None
    output = rig.tagged(rig.format(JsonSchemaFormat), value)
    # It holds each message against the schema that it names.
    read = JSONDeserializer(None, schema_registry_client=rig.client, conf=READING)
    assert read(output, rig.context(rig.output)) == {"id": "a", **ADDITIONS}


@pytest.mark.parametrize("is_text", [False, True], ids=["descriptor", "text"])
def test_protobuf(rig: Rig, is_text: bool) -> None:
    file = compiled(PROTO_ARTICLE)
    article = message_class(file, "news.Article")
    message = article(
        id="a",
        title="Genève",
        at={"seconds": 5},
        digests={3: b"\xff"},
        author={"name": "A"},
        desks=[1, 2],
    )
    conf = dict(TOPIC)
    if is_text:
        rig.client.register_schema(f"{rig.topic}-value", Schema(PROTO_ARTICLE, "PROTOBUF"))
        conf |= {"auto.register.schemas": False, "use.latest.version": False}
        schema_id = rig.client.get_latest_version(f"{rig.topic}-value").schema_id
        value = b"\x00" + schema_id.to_bytes(4, "big") + b"\x02\x02" + message.SerializeToString()
    else:
        write = ProtobufSerializer(article, rig.client, conf)
        value = write(message, rig.context(rig.topic)) or b""
    output = rig.tagged(rig.format(ProtobufFormat), value)
    whole: FileDescriptorProto = with_additions(file, [1], AT_TOP.top)
    tagged = message_class(whole, "news.Article")
    read: Any = ProtobufDeserializer(tagged, READING, rig.client)(output, rig.context(rig.output))
    assert [entity.text for entity in read.entities] == [one["text"] for one in ENTITIES]
    assert read.tagging.model == ADDITIONS["tagging"]["model"]
    older: Any = ProtobufDeserializer(article, READING, rig.client)(output, rig.context(rig.output))
    older.DiscardUnknownFields()
    assert older == message


def test_a_schema_evolves(rig: Rig) -> None:
    """Each version of the input's schema becomes a version of the output's."""
    rig.client.set_compatibility(f"{rig.output}-value", "FULL")
    form = rig.format(AvroFormat)
    newer = {**AVRO, "fields": [*AVRO["fields"][:1], {"name": "n", "type": "int", "default": 1}]}
    older = {**AVRO, "fields": AVRO["fields"][:1]}
    outputs = []
    for schema, more in ((older, {}), (newer, {"n": 5}), (older, {})):
        write = AvroSerializer(rig.client, json.dumps(schema), conf=TOPIC)
        value = write({"id": uuid.UUID(int=1), **more}, rig.context(rig.topic)) or b""
        outputs.append(rig.tagged(form, value))
    assert rig.client.get_versions(f"{rig.output}-value") == [1, 2]
    read = AvroDeserializer(rig.client, conf=READING)
    found = [read(output, rig.context(rig.output)) for output in outputs]
    assert [one.get("n") for one in found] == [None, 5, None]


def test_references(rig: Rig) -> None:
    subject = f"{rig.topic}-agency"
    agency = {"type": "record", "name": "news.Agency", "fields": [{"name": "n", "type": "string"}]}
    rig.client.register_schema(subject, Schema(json.dumps(agency), "AVRO"))
    schema = {
        "type": "record",
        "name": "news.Item",
        "fields": [{"name": "by", "type": "news.Agency"}],
    }
    reference = SchemaReference("news.Agency", subject, 1)
    write = AvroSerializer(rig.client, Schema(json.dumps(schema), "AVRO", [reference]), conf=TOPIC)
    value = write({"by": {"n": "x"}}, rig.context(rig.topic)) or b""
    output = rig.tagged(rig.format(AvroFormat), value)
    read = AvroDeserializer(rig.client, conf=READING)(output, rig.context(rig.output))
    assert read == {"by": {"n": "x"}, **IN_AVRO}


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [("record", "news.Article"), ("topic-record", "{output}-news.Article")],
)
def test_subjects(rig: Rig, strategy: str, subject: str) -> None:
    rig.strategy = SubjectNameStrategy(strategy)
    write = AvroSerializer(rig.client, json.dumps(AVRO), conf=TOPIC)
    now = datetime.datetime.now(datetime.UTC)
    record = {"id": uuid.UUID(int=1), "title": None, "price": Decimal(1), "at": now}
    rig.tagged(rig.format(AvroFormat), write(record, rig.context(rig.topic)) or b"")
    assert subject.format(output=rig.output) in rig.client.get_subjects()


def test_an_unknown_id_is_a_rejection(rig: Rig) -> None:
    with pytest.raises(RejectedMessage) as caught:
        rig.format(AvroFormat).parse(b"\x00\x7f\xff\xff\xff\x02a")
    assert caught.value.code == RejectCode.UNKNOWN_SCHEMA


def test_a_schema_that_the_subject_does_not_take_stops_the_worker(rig: Rig) -> None:
    """It is the subject's rule that a person must change; the messages are right."""
    subject = f"{rig.output}-value"
    other = {"type": "record", "name": "O", "fields": [{"name": "x", "type": "int"}]}
    rig.client.register_schema(subject, Schema(json.dumps(other), "AVRO"))
    rig.client.set_compatibility(subject, "FULL")
    schema = {**other, "fields": [{"name": "y", "type": "string"}]}
    write = AvroSerializer(rig.client, json.dumps(schema), conf=TOPIC)
    value = write({"y": "text"}, rig.context(rig.topic)) or b""
    with pytest.raises(RegistryProblem, match=f"under {subject}: .* \\(HTTP 409\\)"):
        rig.format(AvroFormat).parse(value)


def test_schemas_may_be_looked_up_alone(rig: Rig, registry: str) -> None:
    rig.registry.close()
    rig.registry = ConfluentRegistry({"url": registry, "auto.register.schemas": "false"})
    schema = {"type": "record", "name": "A", "fields": [{"name": "id", "type": "string"}]}
    value = AvroSerializer(rig.client, json.dumps(schema), conf=TOPIC)(
        {"id": "a"}, rig.context(rig.topic)
    )
    with pytest.raises(RegistryProblem, match=f"not registered under {rig.output}-value") as told:
        rig.format(AvroFormat).parse(value)
    text = str(told.value).partition("register it: ")[2]
    rig.client.register_schema(f"{rig.output}-value", Schema(text, "AVRO"))
    rig.tagged(rig.format(AvroFormat), value or b"")


def test_workers_may_register_the_same_schema_at_once(rig: Rig, registry: str) -> None:
    """Apicurio refuses some with a conflict, or takes the same text as several versions: how many
    is its own affair, and no reader can tell."""
    schema = {"type": "record", "name": "A", "fields": [{"name": "id", "type": "string"}]}
    value = AvroSerializer(rig.client, json.dumps(schema), conf=TOPIC)(
        {"id": "a"}, rig.context(rig.topic)
    )
    registries = [ConfluentRegistry({"url": registry}) for _ in range(8)]
    subjects = Subjects(SubjectNameStrategy.TOPIC, rig.output)
    forms = [AvroFormat(one, subjects, AT_TOP) for one in registries]
    gate = threading.Barrier(len(forms))

    def read(form: AvroFormat) -> bytes:
        gate.wait()
        return tagged(form, value or b"")

    with ThreadPoolExecutor(len(forms)) as threads:
        outputs = list(threads.map(read, forms))
    for one in registries:
        one.close()
    subject = f"{rig.output}-value"
    versions = [rig.client.get_version(subject, n) for n in rig.client.get_versions(subject)]
    assert len({one.schema.schema_str for one in versions}) == 1
    assert {schema_id_of(one) for one in outputs} <= {one.schema_id for one in versions}
    reader = AvroDeserializer(rig.client, conf=READING)
    for output in outputs:
        assert reader(output, rig.context(rig.output)) == {"id": "a", **IN_AVRO}
    # Who comes later finds it there.
    assert rig.tagged(rig.format(AvroFormat), value or b"") in outputs
    assert len(rig.client.get_versions(subject)) == len(versions)
