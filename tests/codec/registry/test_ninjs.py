"""Messages of IPTC's own schemas of ninjs go through unchanged, and their texts are found."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from consumer.codec.article_codec import Codec
from consumer.codec.fields.places import resolve
from consumer.codec.registry import framing
from consumer.codec.registry.formats import RegistryFormat
from consumer.codec.registry.json_schema import JsonSchemaFormat
from consumer.codec.registry.protobuf import ProtobufFormat
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import Preset, SubjectNameStrategy
from consumer.contracts.messages import Article, Entity, ModelInfo, TaggedArticle
from consumer.contracts.registry import SchemaType
from consumer.settings.schema import Settings
from tests.codec.registry.additions import AT_TOP
from tests.codec.registry.protobuf_files import compiled, message_class
from tests.support.fakes import raw
from tests.support.memory.memory_registry import MemoryRegistry

FOLDER = Path(__file__).parent / "ninjs"
PROTOBUF = (FOLDER / "ninjs20.proto").read_text(encoding="utf-8")

INFO = ModelInfo("m", "r", "cpu", "float32", ("PER",))

#: Of each version an article of our own, with the members that its schema is particular about.
ARTICLES: dict[str, dict[str, Any]] = {
    "1.6": {
        "uri": "urn:newsroom:16",
        "type": "text",
        "language": "en-GB",
        "versioncreated": "2026-11-23T08:00:00Z",
        "urgency": 3,
        "headline": "Marta leads Nordbank",
        "headline_sub": "Marta follows Ivo",
        "body_text": "Marta came to Oslo.",
        "body_xhtml": "<p>Marta came to Oslo.</p>",
        "description_text": "Marta in Oslo.",
        "place": [{"name": "Oslo", "geometry_geojson": {"type": "Point", "coordinates": [10, 59]}}],
        "associations": {"main": {"uri": "urn:newsroom:17", "headline": "Marta"}},
        "altids": {"itemid": "7"},
        "$standard": {"name": "ninjs", "version": "1.6"},
    },
    "2.2": {
        "uri": "urn:newsroom:22",
        "type": "text",
        "language": "en",
        "headlines": [{"role": "main", "value": "Marta leads Nordbank"}],
        "descriptions": [{"contenttype": "text/plain", "value": "Marta in Oslo."}],
        "bodies": [
            {"role": "text", "contenttype": "text/plain", "charcount": 19, "value": "Marta came."},
            {"role": "xhtml", "contenttype": "text/html", "value": "<p>Marta came.</p>"},
        ],
        "associations": [{"name": "main", "uri": "urn:newsroom:23", "type": "picture"}],
        "altids": [{"role": "internal", "value": "7"}],
        "standard": {"name": "ninjs", "version": "2.2"},
    },
    "3.1": {
        "uri": "urn:newsroom:31",
        "type": "text",
        "language": "en",
        "versionCreated": "2026-11-23T08:00:00Z",
        "headlines": [{"role": "main", "value": "Marta leads Nordbank"}],
        "bodies": [
            {"role": "main", "contentType": "text/html", "value": "<p>Marta came.</p>"},
            {"role": "sidebar", "contentType": "text/plain", "value": "Marta was born in Oslo."},
        ],
        "altIds": [{"role": "internal", "value": "7"}],
        "standard": {"name": "ninjs", "version": "3.1"},
    },
}
FIELDS = {
    "1.6": ["/headline", "/headline_sub", "/description_text", "/body_text"],
    "2.2": ["/headlines/0/value", "/descriptions/0/value", "/bodies/0/value"],
    "3.1": ["/headlines/0/value", "/bodies/1/value", "/bodies/0/value"],
}


class Rig:
    """A registry, a format, and the codec of the preset that reads by it."""

    def __init__(self, kind: type[RegistryFormat[Any]]) -> None:
        self.registry = MemoryRegistry()
        subjects = Subjects(SubjectNameStrategy.TOPIC, "tagged")
        self.settings = Settings(preset=Preset.NINJS)
        self.codec = Codec(
            self.settings.text_fields,
            id_field=self.settings.id_field,
            no_text=self.settings.no_text,
            text_format=self.settings.text_format,
            message_format=kind(self.registry, subjects, AT_TOP),
        )

    def tagged(self, value: bytes) -> tuple[Article, bytes]:
        """What is read of a message, and the message with Marta in each of its texts."""
        article = self.codec.decode(raw(0, value))
        assert isinstance(article, Article)
        found = []
        for name, text, source in article.fields:
            start = text.index("Marta") if source is None else len("<p>")
            found.append(Entity(name, "PER", "Marta", start, start + 5, 0.5))
        return article, self.codec.encode(TaggedArticle(article, tuple(found), 1, INFO), 1_000)


def validator(schema: Any) -> Any:
    """Some refer to GeoJSON's schema, of which no more is asked here than that it is an object."""
    return jsonschema_rs.validator_for(schema, retriever=lambda _address: {"type": "object"})


@pytest.mark.parametrize("version", ARTICLES)
def test_json_schema(version: str) -> None:
    schema = json.loads((FOLDER / f"ninjs-schema_{version}.json").read_text(encoding="utf-8"))
    article = ARTICLES[version]
    assert validator(schema).is_valid(article)
    rig = Rig(JsonSchemaFormat)
    value = framing.prefix(rig.registry.put(SchemaType.JSON, schema)) + json.dumps(article).encode()
    found, output = rig.tagged(value)
    assert [field.name for field in found.fields] == FIELDS[version]
    read = json.loads(output[framing.PREFIX_BYTES :])
    whole = validator(json.loads(rig.registry.text(output)))
    assert [one.message for one in whole.iter_errors(read)] == []
    # It asks of what it knows as much as before, and of what is added as well.
    assert not whole.is_valid({**read, "entities": 5})
    assert not whole.is_valid({**read, "urgency": "x"})
    assert not whole.is_valid({**read, "uri": 5})
    for entity in read["entities"]:
        text = resolve(article, entity["field"])
        assert text[entity["start"] : entity["end"]] == entity["text"] == "Marta"
    del read["entities"], read["tagging"]
    assert read == article


@pytest.mark.parametrize("serialised", [False, True], ids=["text", "descriptor"])
def test_protobuf(serialised: bool) -> None:
    file = compiled(PROTOBUF)
    made: Any = message_class(file, "Ninjs")
    message = made(
        uri="urn:newsroom:20",
        type="picture",
        representationtype="partial",
        pubstatus="usable",
        urgency=3,
        language="en",
        headlines=[{"role": "main", "value": "Marta leads Nordbank"}],
        bodies=[
            {"role": "xhtml", "contenttype": "text/html", "value": "<p>Marta came.</p>"},
            {"contenttype": "text/plain", "wordcount": 2, "value": "Marta came."},
        ],
        places=[
            {
                "name": "Oslo",
                "geometry_geojson": {
                    "type": "POINT",
                    "lengths": [1, 2],
                    "coords": [-107, 599],
                    "values": [{"double_value": 0.5}, {"neg_int_value": 7}, {"bool_value": False}],
                },
            }
        ],
        renditions=[{"name": "main", "sizeinbytes": 2**31 - 1}],
        # An object of its own within: its texts are left alone.
        associations=[{"uri": "urn:newsroom:21", "headlines": [{"value": "Marta"}]}],
        standard={"name": "ninjs", "version": "2.0"},
    )
    rig = Rig(ProtobufFormat)
    text = base64.b64encode(file.SerializeToString()).decode() if serialised else PROTOBUF
    schema_id = rig.registry.put(SchemaType.PROTOBUF, text)
    value = framing.prefix(schema_id) + b"\x00" + message.SerializeToString() + b"\xfa\x7f\x01z"
    found, output = rig.tagged(value)
    assert [field.name for field in found.fields] == ["/headlines/0/value", "/bodies/1/value"]
    assert output[5:].startswith(value[5:]), "each byte of it, also of fields that nobody knows"
    whole = FileDescriptorProto.FromString(base64.b64decode(rig.registry.text(output)))
    whole.name = "output.proto"
    read: Any = message_class(whole, "Ninjs").FromString(output[6:])
    assert [(one.field, one.text) for one in read.entities] == [
        ("/headlines/0/value", "Marta"),
        ("/bodies/1/value", "Marta"),
    ]
    assert read.tagging.model == "m"
    older = made.FromString(output[6:])
    older.DiscardUnknownFields()
    assert older == message
