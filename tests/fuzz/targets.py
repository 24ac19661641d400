"""What is fuzzed: each target takes bytes, and raises only if a promise is broken.

An error that tells a person what was wrong (`RejectedMessage`, `SettingsError` and their like) is
an answer. Any other exception is a fault, and so is an answer that cannot be right.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from consumer.codec.article_codec import Codec
from consumer.codec.json_comparison import JsonComparison
from consumer.codec.output_place import OutputPlace
from consumer.codec.registry.additions import additions_at
from consumer.codec.registry.avro import AvroFormat
from consumer.codec.registry.choice import message_format
from consumer.codec.registry.framing import prefix
from consumer.codec.registry.json_schema import JsonSchemaFormat
from consumer.codec.registry.subjects import Subjects
from consumer.codec.text.source import read_html, read_references
from consumer.commands.tag.input import InputFormat as LinesFormat
from consumer.commands.tag.input import article_reader, lines, whole
from consumer.contracts.choices import InputFormat, NoText, SubjectNameStrategy
from consumer.contracts.errors import NerstreamError, RejectedMessage
from consumer.contracts.headers import is_replay_mark, source_in, with_source, without_source
from consumer.contracts.messages import (
    Entity,
    Headers,
    Position,
    RawMessage,
    TaggedArticle,
    TextField,
    Tombstone,
    Untagged,
)
from consumer.contracts.registry import RegisteredSchema, SchemaType
from consumer.contracts.safe_text import safe_bytes, safe_json
from consumer.contracts.traces import traceparent_in, with_traceparent, without_traceparent
from consumer.dead_letters.letter import read_letter
from consumer.dead_letters.marks import Origin, Sent
from consumer.evaluation.conll import ConllError, parse_conll
from consumer.settings.paths import PathFault, parsed
from tests.fuzz.pieces import Pieces
from tests.fuzz.schemas import AVRO_SCHEMAS, JSON_SCHEMAS, PROTOBUF_SCHEMAS
from tests.support.fakes import MODEL, P0
from tests.support.memory.memory_registry import MemoryRegistry
from tests.support.planted import harm_in

Target = Callable[[bytes], None]

#: Milliseconds since the epoch; any.
_NOW_MS = 1_795_932_000_000

#: Paths of every kind that settings may hold: fields, lists, filters, functions, alternatives.
PATHS = (
    "headlines[*].value",
    "bodies[?contenttype=='text/plain'].value",
    "body || content.text",
    "sections[].paragraphs[][].text",
    "parts[?starts_with(kind, 'p') && length(text) > `1`].text",
    "parts[*].more[0:3]",
    "*.caption",
    "meta.*[]",
    "items[-1].[name, title]",
)


def raw_of(value: bytes | None, key: bytes | None = None, headers: Headers = ()) -> RawMessage:
    """A message as it is read from the input."""
    return RawMessage(Position(P0, 7), key, value, headers, _NOW_MS, 0)


def through(codec: Codec, value: bytes | None) -> bytes | None:
    """A message in and out of a codec, with entities at the edges of each text; None where it is
    rejected or a tombstone."""
    try:
        found = codec.decode(raw_of(value))
    except RejectedMessage:
        return None
    if isinstance(found, Tombstone):
        return None
    if isinstance(found, Untagged):
        return codec.encode(found, _NOW_MS)
    entities = tuple(one for field in found.fields for one in _entities(field))
    return codec.encode(TaggedArticle(found, entities, 3, MODEL), _NOW_MS)


def _entities(field: TextField) -> list[Entity]:
    size = len(field.text)
    places = sorted({(0, min(3, size)), (size // 2, size // 2 + 1), (max(0, size - 2), size)})
    found, end = [], 0
    for begin, to in places:
        if end <= begin < to <= size:
            found.append(Entity(field.name, "PER", field.text[begin:to], begin, to, 0.5))
            end = to
    return found


def _json_codec(**options: Any) -> Target:
    @cache
    def codec() -> Codec:
        return Codec(**options)

    def target(value: bytes) -> None:
        output = through(codec(), value)
        if output is not None:
            document = json.loads(output)
            assert isinstance(document, dict), "the output is no object"

    return target


def _registry_codec(choice: InputFormat, schemas: tuple[str, ...], kind: SchemaType) -> Target:
    """The first byte says which schema; 255 takes the rest as the whole message."""

    @cache
    def codec() -> tuple[Codec, int]:
        registry = MemoryRegistry()
        for schema in schemas:
            registry.put(kind, schema)
        subjects = Subjects(SubjectNameStrategy.TOPIC, "tagged")
        form = message_format(choice, registry, subjects, OutputPlace())
        return Codec(("title", "body"), no_text=NoText.PASS, message_format=form), len(schemas)

    def target(data: bytes) -> None:
        made, count = codec()
        first = data[0] if data else 255
        value = data[1:] if first == 255 else prefix(1 + first % count) + data[1:]
        through(made, value)

    return target


def schema_text(data: bytes) -> None:
    """What a registry hands out as a schema, and what becomes of it for the output."""
    text = data[1:].decode("utf-8", "replace")
    registry = MemoryRegistry()
    kind = (SchemaType.AVRO, SchemaType.JSON)[(data[0] if data else 0) % 2]
    form = {SchemaType.AVRO: AvroFormat, SchemaType.JSON: JsonSchemaFormat}[kind]
    registry.schemas.append(RegisteredSchema(kind, text, ()))
    subjects = Subjects(SubjectNameStrategy.TOPIC, "tagged")
    made: Any = form(registry, subjects, additions_at(OutputPlace()))
    codec = Codec(("body",), no_text=NoText.PASS, message_format=made)
    with contextlib.suppress(NerstreamError):
        through(codec, prefix(1) + b'{"id": "a", "body": "b"}')


def html(data: bytes) -> None:
    """HTML and references: each place of the text leads into the source and back."""
    source = data.decode("utf-8", "replace")
    for read in (read_html, read_references):
        text, way = read(source)
        if way is None:
            continue
        size = len(text)
        for begin, end in ((0, min(1, size)), (size // 2, min(size // 2 + 2, size)), (0, size)):
            if begin >= end:
                continue
            start, stop = way.to_source(begin, end)
            assert 0 <= start <= stop <= len(source), (start, stop)
            for left, right in way.parts(begin, end):
                assert 0 <= left < right <= size, (left, right)


def path(data: bytes) -> None:
    """A setting that is a path, or none."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(PathFault):
        parsed(text)


def path_and_document(data: bytes) -> None:
    """A path, a line feed, and a message that it is read from."""
    setting, _, value = data.partition(b"\n")
    text = setting.decode("utf-8", "replace")
    try:
        parsed(text)
    except PathFault:
        return
    through(Codec((text,), no_text=NoText.PASS), value)


def kafka_parts(data: bytes) -> None:
    """Key and headers: where a message came from, dead letters and marks of replays."""
    pieces = Pieces(data)
    key = pieces.bytes_or_none()
    value = pieces.bytes_or_none()
    headers: Headers = tuple(
        (pieces.text(), pieces.bytes_or_none()) for _ in range(pieces.number() % 8)
    )
    raw = raw_of(value, key, headers)
    source_in(headers)
    named = with_source(without_source(headers), raw.position)
    assert source_in(tuple(named)) == raw.position, "its place is lost"
    parent = traceparent_in(headers)
    if parent is not None:
        assert traceparent_in(with_traceparent(headers, parent)) == parent, "a trace is lost"
    assert traceparent_in(without_traceparent(headers)) is None, "a trace is left"
    read_letter(raw)
    if is_replay_mark(headers):
        with contextlib.suppress(NerstreamError):
            Sent(Origin("c", "dead")).read(raw)


def comparison(data: bytes) -> None:
    """An input and an output as an audit holds them against each other."""
    first, _, second = data.partition(b"\n\n")
    held = JsonComparison()
    try:
        output = through(Codec(("title", "body")), first)
    finally:
        held.close()
    if output is not None:
        assert held.kept(first)[0] == held.kept(output)[0], "an output differs from its input"
    held.kept(second)


def conll(data: bytes) -> None:
    """The lines of a corpus."""
    with contextlib.suppress(ConllError):
        for article in parse_conll(data.decode("utf-8", "replace").split("\n"), "file"):
            assert article.text is not None


def tag_input(data: bytes) -> None:
    """What `nerstream tag` reads: text or JSON, by lines or whole."""
    codec = Codec(("title", "body"), no_text=NoText.PASS)
    for source in (lines, whole):
        first = next(source(io.BytesIO(data)), None)
        read = article_reader("-", LinesFormat.AUTO, first, codec)
        for line in source(io.BytesIO(data)):
            with contextlib.suppress(RejectedMessage):
                read(line)


def shown(data: bytes) -> None:
    """Whatever is shown of a stranger's bytes does nothing."""
    # What begins with the forged line itself is no line of its own.
    assert harm_in(f" {safe_bytes(data)}") == []
    text = data.decode("utf-8", "replace")
    written = safe_json(json.dumps(text, ensure_ascii=False))
    assert harm_in(written) == []
    assert json.loads(written) == text


#: Every target by its name.
TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "json": _json_codec(text_fields=("title", "body")),
        "json_paths": _json_codec(
            text_fields=PATHS,
            id_field="id || meta.id",
            no_text=NoText.PASS,
            output_field="/out/ner",
        ),
        "json_html": _json_codec(text_fields=("title", "body"), text_format=("html",)),
        "avro": _registry_codec(InputFormat.AVRO, AVRO_SCHEMAS, SchemaType.AVRO),
        "protobuf": _registry_codec(InputFormat.PROTOBUF, PROTOBUF_SCHEMAS, SchemaType.PROTOBUF),
        "json_schema": _registry_codec(InputFormat.JSON_SCHEMA, JSON_SCHEMAS, SchemaType.JSON),
        "schema_text": schema_text,
        "html": html,
        "path": path,
        "path_and_document": path_and_document,
        "kafka_parts": kafka_parts,
        "comparison": comparison,
        "conll": conll,
        "tag_input": tag_input,
        "shown": shown,
    }
)
