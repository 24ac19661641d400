"""Which format the settings ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumer.codec.output_place import OutputPlace
from consumer.codec.registry.additions import NAMES, WITH_NAMES, additions_at
from consumer.codec.registry.as_json import AsJson
from consumer.codec.registry.avro import AvroFormat
from consumer.codec.registry.document_comparison import DocumentComparison
from consumer.codec.registry.formats import RegistryFormat
from consumer.codec.registry.json_schema import JsonSchemaFormat
from consumer.codec.registry.protobuf import ProtobufFormat
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import InputFormat
from consumer.contracts.ports import MessageFormat
from consumer.contracts.registry import SchemaRegistry

_FORMATS: Mapping[InputFormat, type[RegistryFormat[Any]]] = {
    InputFormat.AVRO: AvroFormat,
    InputFormat.PROTOBUF: ProtobufFormat,
    InputFormat.JSON_SCHEMA: JsonSchemaFormat,
}


def comparison(
    choice: InputFormat, registry: SchemaRegistry, place: OutputPlace
) -> DocumentComparison:
    """What holds outputs against inputs of such a format; it registers nothing.

    Args:
        place: where the additions are.
    """
    # Nothing is added here: outputs are read as well, whose schemas have the additions already.
    source = _FORMATS[choice](registry, None, additions_at(OutputPlace(), ()))
    return DocumentComparison(source, place)


def message_format(
    choice: InputFormat,
    registry: SchemaRegistry,
    subjects: Subjects | None,
    place: OutputPlace,
    *,
    has_names: bool = False,
) -> MessageFormat:
    """A format whose schemas are in a registry.

    Args:
        subjects: under which names the schemas of the output are registered; None writes JSON.
        place: where the additions go.
        has_names: whether the names of the article are among them.
    """
    added = additions_at(place, WITH_NAMES if has_names else NAMES)
    read = _FORMATS[choice](registry, subjects, added)
    return read if subjects is not None else AsJson(read, added)
