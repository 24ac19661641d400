"""Messages in Avro: read with the schema that wrote them, and written by splicing.

What a record's fields were written as stays as it is, byte for byte: the fields that are added
stand behind them, as the schema of the output says. Only fields that are replaced are cut out.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
import orjson
from fastavro import _read_py

from consumer.codec.registry.avro_schema import (
    AvroSchema,
    addition_field,
    avro_type,
    closed,
    read_schema,
    with_additions,
    without_logical_types,
)
from consumer.codec.registry.formats import RegistryFormat
from consumer.codec.registry.framing import PREFIX_BYTES
from consumer.codec.registry.jsonable import jsonable
from consumer.codec.registry.varints import read_varint, signed
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage, first_line
from consumer.contracts.messages import Article
from consumer.contracts.registry import RegisteredSchema, SchemaType

#: Which branch a field takes that may be null and is not.
_PRESENT = b"\x02"


@dataclass(frozen=True, slots=True)
class _Branch:
    """What a message can be.

    Attributes:
        name: of the record; empty where it is none.
        fields: how each field is read, and whether its value is kept; None where all are kept.
    """

    name: str
    fields: Sequence[tuple[Any, bool]] | None


@dataclass(slots=True)
class _Plan:
    """What is known of a schema.

    Attributes:
        whole: the schema.
        reading: the same without logical types, ready to read with.
        logical: the same with them; None until it is needed.
        read: reads a message; one that is written in C, unless a record can hold itself.
        prefix: what stands before a message of the output.
        branches: what a message can be.
        is_union: whether a message begins with the number of its branch.
    """

    whole: Any
    reading: Any
    read: Callable[[io.BytesIO, Any], Any]
    prefix: bytes
    branches: Sequence[_Branch]
    is_union: bool
    logical: Any = None


class Written(bytes):
    """An addition that is written already."""


class AvroFormat(RegistryFormat[_Plan]):
    """Avro with the schema of each message in a registry.

    Strings, numbers, lists and dicts are read as they are; decimals, times and what else has a
    logical type is read as the plain value under it, which may be bytes.
    """

    schema_type = SchemaType.AVRO

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        top = self._additions.top
        self._fields = [addition_field(name, shape) for name, shape in top.items()]
        # The outermost record around the additions may be absent and is not; it has the others.
        self._opening = _PRESENT if self._additions.within else b""
        self._writers = {
            name: _Writer(
                avro_type(shape) if self._additions.within else addition_field(name, shape)["type"]
            )
            for name, shape in self._additions.shapes.items()
        }

    def parse(self, value: bytes) -> Any:
        """The record that a message holds; codes invalid_avro and nested_too_deep."""
        return self._read(value, self._plan(value))

    def readable(self, value: bytes) -> Any:
        """The same, with the values that logical types stand for."""
        plan = self._known(value)
        if plan.logical is None:
            plan.logical = fastavro.parse_schema(plan.whole)
        return jsonable(self._read(value, plan, plan.logical))

    def _read(self, value: bytes, plan: _Plan, schema: Any = None) -> Any:
        stream = io.BytesIO(value)
        stream.seek(PREFIX_BYTES)
        try:
            tree = plan.read(stream, schema or plan.reading)
        except RecursionError:
            raise RejectedMessage(
                RejectCode.NESTED_TOO_DEEP, "records stand too deep inside one another"
            ) from None
        except Exception as fault:
            raise RejectedMessage(
                RejectCode.INVALID_AVRO,
                f"the bytes do not fit its schema: {_said(fault)}",
            ) from None
        left = len(value) - stream.tell()
        if left:
            raise RejectedMessage(
                RejectCode.INVALID_AVRO,
                f"the bytes do not fit its schema: {left} are left behind the last field",
            )
        return tree

    def shared(self, addition: Mapping[str, Any]) -> Any:
        """The addition as it is written."""
        return Written(self._writers["tagging"].written(addition))

    def write(self, article: Article, additions: Mapping[str, Any]) -> bytes:
        """The article's message with its additions behind its last field."""
        value = article.raw.value
        assert value is not None, "a tombstone has no entities"
        plan = self._known(value)
        branch = plan.branches[_index(value) if plan.is_union else 0]
        kept = (
            memoryview(value)[PREFIX_BYTES:]
            if branch.fields is None
            else self._kept(value, plan, branch.fields)
        )
        pieces = [plan.prefix, kept, self._opening]
        for name, writer in self._writers.items():
            addition = additions[name]
            pieces.append(addition if type(addition) is Written else writer.written(addition))
        return b"".join(pieces)

    def _kept(self, value: bytes, plan: _Plan, fields: Sequence[tuple[Any, bool]]) -> bytes:
        """The message without its prefix and without the fields that are replaced."""
        stream = io.BytesIO(value)
        stream.seek(PREFIX_BYTES)
        if plan.is_union:
            stream.seek(read_varint(value, PREFIX_BYTES)[1])
        pieces = [value[PREFIX_BYTES : stream.tell()]]
        for schema, is_kept in fields:
            start = stream.tell()
            plan.read(stream, schema)
            if is_kept:
                pieces.append(value[start : stream.tell()])
        return b"".join(pieces)

    def _made(self, schema: RegisteredSchema) -> _Plan:
        found = read_schema(schema.text, [one.text for one in self._referenced(schema).values()])
        for part in found.branches:
            if isinstance(part, dict):
                self._must_be_new(field["name"] for field in part.get("fields", ()))
        document, undefined = with_additions(found, self._fields)
        reading = without_logical_types(found.whole)
        try:
            parsed = fastavro.parse_schema(reading)
            # Read once more, as it will be written, so that a fault is not the registry's to find.
            if not undefined:
                fastavro.parse_schema(document)
        except Exception as fault:
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA, f"its schema is none that Avro knows ({_said(fault)})"
            ) from fault
        roots = [part for part in found.branches if isinstance(part, dict)]
        records = [part["name"] for part in roots if "fields" in part]
        text = orjson.dumps(document).decode()
        references = schema.references if undefined else ()
        prefix = self._register(
            records[0] if records and not isinstance(found.whole, list) else "",
            RegisteredSchema(SchemaType.AVRO, text, references),
        )
        return _Plan(
            whole=found.whole,
            reading=parsed,
            read=_read_in_python if found.is_recursive else _read_in_c,
            prefix=prefix,
            branches=[_branch(part, found, self._additions.top) for part in found.branches],
            is_union=isinstance(found.whole, list),
        )


class _Writer:
    """Writes values of one type."""

    def __init__(self, kind: Any) -> None:
        self._schema = fastavro.parse_schema(_alone(kind))

    def written(self, value: Any) -> bytes:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self._schema, {"value": value})
        return stream.getvalue()


def _alone(schema: Any) -> Any:
    """A record with one field of this schema, which is written as that field is: a schema that is
    no record would be parsed again for each message."""
    fields = [{"name": "value", "type": schema}]
    return {"type": "record", "name": "nerstream.Alone", "fields": fields}


def _branch(part: Any, schema: AvroSchema, replaced: Mapping[str, Any]) -> _Branch:
    if isinstance(part, str) and part in schema.definitions:
        part = schema.definitions[part]
    if not isinstance(part, dict) or "fields" not in part:
        return _Branch("", None)
    if not any(field["name"] in replaced for field in part["fields"]):
        return _Branch(part["name"], None)
    fields = []
    for field in part["fields"]:
        kind = without_logical_types(closed(field["type"], schema.definitions))
        fields.append((fastavro.parse_schema(_alone(kind)), field["name"] not in replaced))
    return _Branch(part["name"], fields)


def _read_in_c(stream: io.BytesIO, schema: Any) -> Any:
    return fastavro.schemaless_reader(stream, schema, None)


def _read_in_python(stream: io.BytesIO, schema: Any) -> Any:
    """For records that can hold themselves: in C, a few thousand levels end the process."""
    return _read_py.schemaless_reader(stream, schema, None)


def _index(value: bytes) -> int:
    """The number of the branch of a union that a message begins with."""
    return signed(read_varint(value, PREFIX_BYTES)[0])


def _said(fault: BaseException) -> str:
    if isinstance(fault, EOFError) and not str(fault):
        return "they end in the middle of a field"
    return first_line(fault)
