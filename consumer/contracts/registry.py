"""What the formats of messages need from a schema registry with Confluent's API."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol


class SchemaType(StrEnum):
    """What language a schema is written in, as a registry names it."""

    AVRO = "AVRO"
    PROTOBUF = "PROTOBUF"
    JSON = "JSON"


class SchemaReference(NamedTuple):
    """Another schema that a schema uses.

    Attributes:
        name: how the schema calls it: a full name in Avro, a file in Protobuf, a URI in JSON
            Schema.
        subject, version: where it is registered.
    """

    name: str
    subject: str
    version: int


class RegisteredSchema(NamedTuple):
    """A schema as a registry keeps it.

    Attributes:
        type: its language.
        text: JSON; for Protobuf the text of a `.proto` file, or a serialised
            `FileDescriptorProto` in base64.
        references: the schemas that it uses.
    """

    type: SchemaType
    text: str
    references: tuple[SchemaReference, ...] = ()


class SchemaRegistry(Protocol):
    """A schema registry. Nothing is kept: who asks remembers the answers. One thread.

    Every method raises `RegistryUnavailable` where no answer came that could stand, so that the
    same call may succeed later, and `RegistryProblem` where the registry refuses and a person must
    act.
    """

    def close(self) -> None:
        """Close its connections; nothing is asked afterwards."""

    def check(self) -> None:
        """Find out whether a registry answers at all."""
        ...

    def schema(self, schema_id: int) -> RegisteredSchema | None:
        """The schema of this id; None where the registry says that there is none."""
        ...

    def referenced(self, reference: SchemaReference) -> RegisteredSchema:
        """A schema that another one uses."""
        ...

    def register(self, subject: str, schema: RegisteredSchema) -> int:
        """Register a schema, or find it registered; gives its id."""
        ...

    def protobuf_file(self, name: str) -> bytes | None:
        """A file that schemas in Protobuf may import without registering it, such as
        `google/protobuf/timestamp.proto`, as a serialised `FileDescriptorProto`."""
        ...
