"""Messages in Protobuf: read with the schema that wrote them, and written by appending.

The fields of a Protobuf message may stand in any order, so what is added stands at its end and all
else stays as it is, byte for byte: fields that the schema does not know as well.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError, Message

from consumer.codec.registry.formats import RegistryFormat
from consumer.codec.registry.framing import PREFIX_BYTES
from consumer.codec.registry.protobuf_schema import full_name, message_at, with_additions
from consumer.codec.registry.protoc import file_descriptor
from consumer.codec.registry.varints import read_varint, signed
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage, first_line
from consumer.contracts.messages import Article
from consumer.contracts.registry import RegisteredSchema, SchemaType

#: What a file of the input or of the output is called, while others import it by no name.
_FILE = "nerstream_schema.proto"

#: The message that has nothing but additions.
_ALONE = "Alone"

#: Messages around a message, at most, that the number of its type may name.
_MOST_NESTED = 64

_IMPORT = re.compile(r"""\bimport\s+(?:public\s+|weak\s+|option\s+)?["']([^"']+)["']""")

#: Wire types, by how the length of what follows is known.
_VARINT, _FIXED64, _LENGTH, _, _END_GROUP, _FIXED32 = range(6)


@dataclass(frozen=True, slots=True)
class _Type:
    """One message type of a schema.

    Attributes:
        read: bytes to a message of the input.
        prefix: what stands before a message of the output.
        replaced: numbers of the fields that are replaced.
    """

    read: Callable[[bytes], Message]
    prefix: bytes
    replaced: frozenset[int]


class Written(bytes):
    """An addition that is written already."""


class _Plan:
    """What is known of a schema: its files, and its message types as they come."""

    def __init__(self, schema: RegisteredSchema, files: Sequence[FileDescriptorProto]) -> None:
        self.schema = schema
        self.files = files
        self.types: dict[bytes, _Type | RejectedMessage] = {}

    @property
    def file(self) -> FileDescriptorProto:
        """The schema itself; what it imports comes before it."""
        return self.files[-1]


class ProtobufFormat(RegistryFormat[_Plan]):
    """Protobuf with the schema of each message in a registry.

    A message is read as a dict of the fields that are set, by their names in the schema; enums by
    the names of their values, bytes as they are.
    """

    schema_type = SchemaType.PROTOBUF

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # A message that has nothing but additions; behind another one, it adds them to it.
        alone = FileDescriptorProto(name=_FILE, syntax="proto3")
        alone.message_type.add(name=_ALONE)
        self._added = _class([with_additions(alone, [0], self._additions.top)], _ALONE)

    def parse(self, value: bytes) -> Any:
        """The message that a message of Kafka holds; code invalid_protobuf."""
        plan = self._plan(value)
        start = _end_of_path(value)
        path = value[PREFIX_BYTES:start]
        kind = plan.types.get(path)
        if kind is None:
            kind = plan.types[path] = self._type(plan, path)
        if isinstance(kind, RejectedMessage):
            raise RejectedMessage(kind.code, kind.message)
        try:
            return _tree(kind.read(value[start:]))
        except DecodeError as fault:
            raise RejectedMessage(
                RejectCode.INVALID_PROTOBUF,
                f"the bytes do not fit its schema: {first_line(fault)}",
            ) from None

    def readable(self, value: bytes) -> Any:
        """The same, as Protobuf's own mapping to JSON has it, by the names of the schema."""
        kind, start = self._type_of(value)
        try:
            return json_format.MessageToDict(
                kind.read(value[start:]), preserving_proto_field_name=True
            )
        except json_format.Error as fault:
            raise RejectedMessage(
                RejectCode.INVALID_PROTOBUF, f"JSON has no such value: {first_line(fault)}"
            ) from None

    def shared(self, addition: Mapping[str, Any]) -> Any:
        """The addition as it is written, where it stands at the top of a message."""
        return addition if self._additions.within else Written(self._written({"tagging": addition}))

    def write(self, article: Article, additions: Mapping[str, Any]) -> bytes:
        """The article's message with its additions at its end."""
        value = article.raw.value
        assert value is not None, "a tombstone has no entities"
        kind, start = self._type_of(value)
        kept: Any = memoryview(value)[start:]
        if kind.replaced:
            kept = _without(value, start, kind.replaced)
        written = [one for one in additions.values() if type(one) is Written]
        if written:
            additions = {name: one for name, one in additions.items() if type(one) is not Written}
        added = self._written(self._additions.nested(additions))
        return b"".join((kind.prefix, kept, added, *written))

    def _written(self, fields: Mapping[str, Any]) -> bytes:
        return self._added(**fields).SerializeToString()

    def _type_of(self, value: bytes) -> tuple[_Type, int]:
        """What is known of the type of a message that `parse` has read, and where it begins."""
        start = _end_of_path(value)
        kind = self._known(value).types[value[PREFIX_BYTES:start]]
        assert isinstance(kind, _Type)
        return kind, start

    def _made(self, schema: RegisteredSchema) -> _Plan:
        files: dict[str, FileDescriptorProto] = {}
        for name, one in self._referenced(schema).items():
            self._add(files, name, one.text)
        self._add(files, _FILE, schema.text)
        return _Plan(schema, list(files.values()))

    def _add(self, files: dict[str, FileDescriptorProto], name: str, text: str) -> None:
        """Put a file behind those that it imports."""
        if name.startswith("/") or ".." in name.split("/"):
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA, f"its schema imports {name}, which is no name of a file"
            )
        bundled = [] if _is_serialised(text) else [*self._bundled(_imports(text), {}).values()]
        known = {file.name: file for file in (*bundled, *files.values())}
        file = file_descriptor(name, text, list(known.values()))
        for one in self._bundled(file.dependency, files).values():
            files.setdefault(one.name, one)
        files.pop(name, None)
        files[name] = file

    def _bundled(
        self, names: Sequence[str], known: Mapping[str, FileDescriptorProto]
    ) -> dict[str, FileDescriptorProto]:
        """The files of Google's among these, and those that they import, in order."""
        found: dict[str, FileDescriptorProto] = {}
        for name in names:
            serialised = None if name in known else self._registry.protobuf_file(name)
            if serialised is not None:
                file = FileDescriptorProto.FromString(serialised)
                found.update(self._bundled(file.dependency, known))
                found.setdefault(name, file)
        return found

    def _type(self, plan: _Plan, path: bytes) -> _Type | RejectedMessage:
        """What is known of a message type; registers the schema of the output.

        Raises:
            RegistryUnavailable, RegistryProblem: as the registry's.
        """
        indexes = _indexes(path)
        try:
            name = full_name(plan.file, indexes)
        except IndexError:
            return RejectedMessage(
                RejectCode.INVALID_PROTOBUF,
                f"its schema has no message with the index {indexes}",
            )
        try:
            message = message_at(plan.file, indexes)
            self._must_be_new(field.name for field in message.field)
            output = with_additions(plan.file, indexes, self._additions.top)
            read = _class(plan.files, name)
            _class([*plan.files[:-1], output], name)  # a fault is not the registry's to find
            replaced = frozenset(
                field.number for field in message.field if field.name in self._additions.top
            )
            text = base64.b64encode(_unnamed(output).SerializeToString()).decode()
            prefix = self._register(
                name, RegisteredSchema(SchemaType.PROTOBUF, text, plan.schema.references)
            )
        except RejectedMessage as fault:
            return fault
        except (TypeError, KeyError, ValueError) as fault:
            return RejectedMessage(
                RejectCode.WRONG_SCHEMA,
                f"its schema is none that Protobuf knows ({first_line(fault)})",
            )
        return _Type(read.FromString, prefix + path, replaced)


def _class(files: Sequence[FileDescriptorProto], name: str) -> type[Message]:
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    found: Descriptor = pool.FindMessageTypeByName(name)
    return message_factory.GetMessageClass(found)


def _unnamed(file: FileDescriptorProto) -> FileDescriptorProto:
    """As registries keep it: they know a schema by its subject."""
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    copy.ClearField("name")
    copy.ClearField("source_code_info")
    return copy


def _tree(message: Message) -> dict[str, Any]:
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        part = field.message_type.fields_by_name["value"]
        return {str(key): _one(part, one) for key, one in value.items()}
    if field.is_repeated:
        return [_one(field, one) for one in value]
    return _one(field, value)


def _one(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return _tree(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value


def _is_serialised(text: str) -> bool:
    """Whether a schema is in base64: that has no blanks, and a `.proto` file has."""
    return not any(character in text for character in " \t\n;")


def _imports(text: str) -> list[str]:
    """What the text of a `.proto` file imports."""
    return _IMPORT.findall(text)


def _end_of_path(value: bytes) -> int:
    """Where the message begins, behind the path of its type.

    Raises:
        RejectedMessage: invalid_protobuf; there is no path.
    """
    if value[PREFIX_BYTES : PREFIX_BYTES + 1] == b"\x00":
        return PREFIX_BYTES + 1  # the first message of the file, as nearly all are
    try:
        count, at = read_varint(value, PREFIX_BYTES)
        if signed(count) > _MOST_NESTED or signed(count) < 0:
            raise IndexError
        for _ in range(signed(count)):
            _, at = read_varint(value, at)
    except IndexError:
        raise RejectedMessage(
            RejectCode.INVALID_PROTOBUF,
            "the value does not say behind the id of its schema which of its messages it is",
        ) from None
    return at


def _indexes(path: bytes) -> list[int]:
    """The path of a message type as numbers; the first one of a file is written as nothing."""
    count, at = read_varint(path, 0)
    indexes = []
    for _ in range(signed(count)):
        index, at = read_varint(path, at)
        indexes.append(signed(index))
    return indexes or [0]


def _without(value: bytes, start: int, replaced: frozenset[int]) -> bytes:
    """A message without the fields of these numbers."""
    pieces = []
    at = start
    while at < len(value):
        first = at
        tag, at = read_varint(value, at)
        at = _end_of_field(value, at, tag)
        if tag >> 3 not in replaced:
            pieces.append(value[first:at])
    return b"".join(pieces)


def _end_of_field(value: bytes, at: int, tag: int) -> int:
    kind = tag & 7
    if kind == _VARINT:
        return read_varint(value, at)[1]
    if kind == _FIXED64:
        return at + 8
    if kind == _FIXED32:
        return at + 4
    if kind == _LENGTH:
        length, at = read_varint(value, at)
        return at + length
    # A group ends with the tag of its own number; others may stand inside.
    while True:
        inner, at = read_varint(value, at)
        if inner & 7 == _END_GROUP:
            return at
        at = _end_of_field(value, at, inner)
