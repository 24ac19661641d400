"""A schema registry in memory, which answers as it is told."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import fastavro

from consumer.codec.registry import framing
from consumer.contracts.errors import NerstreamError
from consumer.contracts.registry import RegisteredSchema, SchemaReference, SchemaType
from consumer.kafka.registry import bundled_protobuf_file


class MemoryRegistry:
    """`consumer.contracts.registry.SchemaRegistry` without a server.

    Attributes:
        asked: what it was asked for, in order.
        fault: what it raises instead of answering.
    """

    def __init__(self) -> None:
        self.schemas: list[RegisteredSchema] = []
        self.subjects: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.fault: NerstreamError | None = None

    def close(self) -> None:
        """It has no connections."""

    def check(self) -> None:
        self._ask("check")

    def schema(self, schema_id: int) -> RegisteredSchema | None:
        self._ask(f"schema {schema_id}")
        return self.schemas[schema_id - 1] if 0 < schema_id <= len(self.schemas) else None

    def referenced(self, reference: SchemaReference) -> RegisteredSchema:
        self._ask(f"referenced {reference.name}")
        return self.schemas[self.subjects[reference.subject][reference.version - 1] - 1]

    def register(self, subject: str, schema: RegisteredSchema) -> int:
        self._ask(f"register {subject}")
        if schema not in self.schemas:
            self.schemas.append(schema)
        schema_id = self.schemas.index(schema) + 1
        versions = self.subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    def protobuf_file(self, name: str) -> bytes | None:
        return bundled_protobuf_file(name)

    def put(
        self,
        kind: SchemaType,
        schema: Any,
        subject: str = "articles-value",
        references: tuple[SchemaReference, ...] = (),
    ) -> int:
        """Register a schema as others would; gives its id."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        found = self.register(subject, RegisteredSchema(kind, text, references))
        self.asked.clear()
        return found

    def text(self, value: bytes) -> str:
        """The schema that a message was written with."""
        return self.schemas[framing.schema_id_of(value) - 1].text

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.fault is not None:
            raise self.fault


def avro_message(schema_id: int, schema: Any, record: Any) -> bytes:
    """A message as a producer writes it."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), record)
    return framing.prefix(schema_id) + stream.getvalue()


def avro_read(value: bytes, schema: Any, named: Mapping[str, Any] | None = None) -> Any:
    """What a reader makes of a message, union branches by their names; all bytes must be read."""
    stream = io.BytesIO(value[framing.PREFIX_BYTES :])
    parsed = fastavro.parse_schema(schema, named_schemas=dict(named or {}))
    record = fastavro.schemaless_reader(
        stream, parsed, None, return_record_name=True, return_record_name_override=True
    )
    assert not stream.read()
    return record
