"""Protobuf schemas: what a message is read with, and what stands in the output's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from consumer.codec.registry.shapes import ListOf, Record, Scalar, Shape
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage

#: Number of the first field that is added to a message. Far above those that a schema gives its
#: own, so that they stay the same when it gets further ones.
FIRST_NUMBER = 100_001

#: What the names of the messages that are added begin with.
NAME_PREFIX = "Nerstream"

_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "integer": FieldDescriptorProto.TYPE_INT64,
    "number": FieldDescriptorProto.TYPE_DOUBLE,
    "boolean": FieldDescriptorProto.TYPE_BOOL,
}


def addition_messages(
    additions: Mapping[str, Shape], file: FileDescriptorProto
) -> list[DescriptorProto]:
    """The messages that the added fields are of, those that are used first.

    Args:
        file: where they are to stand.
    """
    found: dict[str, DescriptorProto] = {}
    for shape in additions.values():
        _collect(shape, file, found)
    return list(found.values())


def with_additions(
    file: FileDescriptorProto, path: Sequence[int], additions: Mapping[str, Shape]
) -> FileDescriptorProto:
    """The file of the output: one of its messages gets further fields.

    A field of the same name that it has is taken out; its number is reserved.

    Args:
        file: the input's.
        path: the message, by its index in the file and in the messages around it.

    Raises:
        RejectedMessage: wrong_schema; it has a message of the name of one of ours, or a field of
            the number of one.
    """
    output = FileDescriptorProto()
    output.CopyFrom(file)
    ours = addition_messages(additions, file)
    theirs = {message.name: message for message in output.message_type}
    for message in ours:
        if message.name not in theirs:
            output.message_type.append(message)
        elif not _is_older(theirs[message.name], message):
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA,
                f"its schema has a message {message.name} of its own, which is not the one that is"
                " added",
            )
        else:
            theirs[message.name].CopyFrom(message)
    message = message_at(output, path)
    replaced = [field for field in message.field if field.name in additions]
    for field in replaced:
        message.field.remove(field)
        if field.number < FIRST_NUMBER:
            message.reserved_range.add(start=field.number, end=field.number + 1)
    _without_empty_oneofs(message)
    for number, (name, shape) in enumerate(additions.items(), FIRST_NUMBER):
        taken = next((field.name for field in message.field if field.number == number), None)
        if taken is not None:
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA,
                f"its field {taken} has the number {number}, which {name} is to have",
            )
        message.field.append(_field(name, number, shape, file))
    return output


def message_at(file: FileDescriptorProto, path: Sequence[int]) -> DescriptorProto:
    """A message of a file, by its index in the file and in the messages around it.

    Raises:
        IndexError: there is none.
    """
    within = file.message_type
    for index in path:
        # The library has a TypeError for an index that no machine word holds.
        if not 0 <= index < len(within):
            raise IndexError(path)
        message = within[index]
        within = message.nested_type
    return message


def full_name(file: FileDescriptorProto, path: Sequence[int]) -> str:
    """The name of the same message, with its package and the messages around it."""
    names = [message_at(file, path[: depth + 1]).name for depth in range(len(path))]
    return ".".join([file.package, *names] if file.package else names)


def _collect(shape: Shape, file: FileDescriptorProto, found: dict[str, DescriptorProto]) -> None:
    match shape:
        case ListOf(items):
            _collect(items, file, found)
        case Record(name, fields):
            message = DescriptorProto(name=NAME_PREFIX + name)
            for number, part in enumerate(fields, 1):
                _collect(part.shape, file, found)
                field = _field(part.name, number, part.shape, file)
                # Elsewhere every field that is no list says whether it is there.
                is_optional = not part.is_required and isinstance(part.shape, Scalar)
                if is_optional and file.syntax == "proto3":
                    field.proto3_optional = True
                    field.oneof_index = len(message.oneof_decl)
                    message.oneof_decl.add(name=f"_{part.name}")
                message.field.append(field)
            found.setdefault(message.name, message)


def _field(name: str, number: int, shape: Shape, file: FileDescriptorProto) -> FieldDescriptorProto:
    label = FieldDescriptorProto.LABEL_OPTIONAL
    if isinstance(shape, ListOf):
        label, shape = FieldDescriptorProto.LABEL_REPEATED, shape.items
    field = FieldDescriptorProto(name=name, number=number, label=label)
    match shape:
        case Scalar(kind):
            field.type = _SCALARS[kind]
        case Record(type_name, _):
            field.type = FieldDescriptorProto.TYPE_MESSAGE
            package = f".{file.package}" if file.package else ""
            field.type_name = f"{package}.{NAME_PREFIX}{type_name}"
        case ListOf():
            raise ValueError(f"{name} is a list of lists, which Protobuf does not have")
    return field


def _is_older(theirs: DescriptorProto, ours: DescriptorProto) -> bool:
    """Whether a message is ours, as it is or with fewer fields."""
    known = {(field.name, field.number, field.type) for field in ours.field}
    return all((field.name, field.number, field.type) in known for field in theirs.field)


def _without_empty_oneofs(message: DescriptorProto) -> None:
    """A oneof must not be left without fields."""
    used = sorted({field.oneof_index for field in message.field if field.HasField("oneof_index")})
    if len(used) == len(message.oneof_decl):
        return
    kept = [message.oneof_decl[index] for index in used]
    new = {old: number for number, old in enumerate(used)}
    for field in message.field:
        if field.HasField("oneof_index"):
            field.oneof_index = new[field.oneof_index]
    copies = [type(one).FromString(one.SerializeToString()) for one in kept]
    del message.oneof_decl[:]
    message.oneof_decl.extend(copies)
