"""What stands in front of a message, and what is said where nothing does."""

from __future__ import annotations

import pytest
from confluent_kafka.schema_registry import header_schema_id_serializer
from confluent_kafka.schema_registry.common.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext

from consumer.codec.article_codec import Codec
from consumer.codec.registry import framing
from consumer.codec.registry.avro import AvroFormat
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from consumer.contracts.errors import RejectedMessage
from tests.codec.registry.additions import AT_TOP
from tests.support.fakes import raw
from tests.support.memory.memory_registry import MemoryRegistry


def test_the_id_of_a_schema_stands_in_front() -> None:
    assert framing.schema_id_of(framing.prefix(7) + b"x") == 7
    for value, told in (
        (b"", "the value is empty"),
        (b'{"a":1}', "input_format=json reads that"),
        (b"\x00\x01", "has only 2 bytes (00 01)"),
        (b"\x01abcdefghi", "begins with the bytes 01 61 62 63 64 65 66 67 …"),
    ):
        with pytest.raises(RejectedMessage) as caught:
            framing.schema_id_of(value)
        assert caught.value.code == RejectCode.NOT_FRAMED
        assert told in caught.value.message


@pytest.mark.parametrize(
    ("value", "code"),
    [(b"\x02a\x00", RejectCode.NOT_FRAMED), (b"\x00\x02\x02\x02\x02", RejectCode.UNKNOWN_SCHEMA)],
)
def test_a_schema_that_a_header_names_is_refused_with_the_remedy(
    value: bytes, code: RejectCode
) -> None:
    """A message without a prefix may look as if it had one."""
    headers: list[tuple[str, bytes]] = []
    context = SerializationContext("articles", MessageField.VALUE, headers)
    schema = SchemaId("AVRO", 1, "89791762-2336-4186-9674-299b90a802e2")
    assert header_schema_id_serializer(value, context, schema) == value
    registry = MemoryRegistry()
    form = AvroFormat(registry, Subjects(SubjectNameStrategy.TOPIC, "tagged"), AT_TOP)
    codec = Codec(("body",), message_format=form)
    with pytest.raises(RejectedMessage) as caught:
        codec.decode(raw(0, value)._replace(headers=tuple(headers)))
    assert caught.value.code == code
    assert caught.value.message.startswith(
        "the schema of the message stands in its header __value_schema_id, which is not read; set"
    )
    with pytest.raises(RejectedMessage) as caught:
        codec.decode(raw(0, value))
    assert "__value_schema_id" not in caught.value.message
