"""Protobuf: everything that a message may hold goes through unchanged."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.codec.registry import framing
from consumer.codec.registry.protobuf import ProtobufFormat
from consumer.codec.registry.protobuf_schema import FIRST_NUMBER
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.registry import SchemaReference, SchemaType
from tests.codec.registry.additions import ADDITIONS, AT_TOP, ENTITIES, tagged
from tests.codec.registry.protobuf_files import ARTICLE, compiled, message_class
from tests.support.memory.memory_registry import MemoryRegistry

PROTO2 = """
syntax = "proto2";
message Article {
  required string id = 1;
  required string body = 2;
  optional group Extra = 3 { optional string x = 4; }
  optional int32 n = 5 [default = 7];
  extensions 100 to 199;
}
"""

EDITION = """
edition = "2023";
package news;
message Article { string id = 1; string body = 2; }
"""


class Rig:
    """A registry and the format that asks it."""

    def __init__(self, strategy: SubjectNameStrategy = SubjectNameStrategy.TOPIC) -> None:
        self.registry = MemoryRegistry()
        self.format = ProtobufFormat(self.registry, Subjects(strategy, "tagged"), AT_TOP)

    def put(self, text: str, *, serialised: bool = False) -> int:
        if serialised:
            text = base64.b64encode(compiled(text).SerializeToString()).decode()
        return self.registry.put(SchemaType.PROTOBUF, text)

    def tagged(self, value: bytes) -> bytes:
        return tagged(self.format, value)

    def read(self, value: bytes, name: str, start: int = 7) -> Any:
        """What a reader makes of a message of the output."""
        file = FileDescriptorProto.FromString(base64.b64decode(self.registry.text(value)))
        file.name = "output.proto"
        return message_class(file, name).FromString(value[start:])


def article(**fields: Any) -> Any:
    return message_class(compiled(ARTICLE), "news.Article")(**fields)


#: The second message of its file: one index, which is 1.
SECOND = b"\x02\x02"


def framed(schema_id: int, message: Message, path: bytes = SECOND) -> bytes:
    return framing.prefix(schema_id) + path + message.SerializeToString()


def rejection(rig: Rig, value: bytes) -> tuple[str, str]:
    with pytest.raises(RejectedMessage) as caught:
        rig.format.parse(value)
    return caught.value.code, caught.value.message


FIELDS: dict[str, tuple[dict[str, Any], Any]] = {
    "text": ({"body": "Zürich \U0001f600"}, {"body": "Zürich \U0001f600"}),
    "an optional field that is empty": ({"title": ""}, {"title": ""}),
    "a timestamp": ({"at": {"seconds": 5, "nanos": 7}}, {"at": {"seconds": 5, "nanos": 7}}),
    "money": (
        {"price": {"currency_code": "CHF", "units": 3}},
        {"price": {"currency_code": "CHF", "units": 3}},
    ),
    "a map of messages": ({"others": {"a": {"x": "y"}}}, {"others": {"a": {"x": "y"}}}),
    "a map by number": ({"digests": {-1: b"\xff"}}, {"digests": {"-1": b"\xff"}}),
    "one of two": ({"agency": "x"}, {"agency": "x"}),
    "the other of two": ({"author": {"name": "A"}}, {"author": {"name": "A"}}),
    "an enum": ({"desk": 2}, {"desk": "SPORT"}),
    "an enum that is not known": ({"desk": 9}, {"desk": 9}),
    "enums": ({"desks": [1, 2]}, {"desks": ["WORLD", "SPORT"]}),
    "bytes": ({"raw": b"\x00\xff"}, {"raw": b"\x00\xff"}),
    "numbers": ({"numbers": [-1, 2**62]}, {"numbers": [-1, 2**62]}),
    "a wide number": ({"big": 2**64 - 1}, {"big": 2**64 - 1}),
    "real numbers": ({"share": 0.1, "part": 0.5}, {"share": 0.1, "part": 0.5}),
    "true": ({"flag": True}, {"flag": True}),
    "articles in articles": (
        {"author": {"wrote": [{"id": "b", "author": {"name": "B"}}]}},
        {"author": {"wrote": [{"id": "b", "author": {"name": "B"}}]}},
    ),
}


@pytest.mark.parametrize("serialised", [False, True], ids=["text", "descriptor"])
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_any_type_goes_through(name: str, serialised: bool) -> None:
    fields, plain = FIELDS[name]
    rig = Rig()
    value = framed(rig.put(ARTICLE, serialised=serialised), article(id="a", **fields))
    assert rig.format.parse(value) == {"id": "a", **plain}
    output = rig.tagged(value)
    assert output[5:].startswith(value[5:])
    read: Any = rig.read(output, "news.Article")
    assert [
        {one.name: value for one, value in entity.ListFields()} for entity in read.entities
    ] == [{name: value for name, value in entity.items() if value} for entity in ENTITIES]
    assert read.tagging.model == ADDITIONS["tagging"]["model"]
    read.ClearField("entities")
    read.ClearField("tagging")
    assert read.SerializeToString(deterministic=True) == article(
        id="a", **fields
    ).SerializeToString(deterministic=True)


def test_unknown_fields_go_through() -> None:
    rig = Rig()
    stranger = b"\xfa\x7f\x03xyz"  # field 2047
    value = framed(rig.put(ARTICLE), article(id="a")) + stranger
    output = rig.tagged(value)
    read = rig.read(output, "news.Article")
    read.ClearField("entities")
    read.ClearField("tagging")
    assert read.SerializeToString().endswith(stranger)


def test_the_schema_is_the_input_s_and_what_is_added() -> None:
    rig = Rig()
    value = framed(rig.put(ARTICLE), article(id="a"))
    output = FileDescriptorProto.FromString(base64.b64decode(rig.registry.text(rig.tagged(value))))
    input_file = compiled(ARTICLE)
    added = output.message_type[1].field[len(input_file.message_type[1].field) :]
    assert [(one.name, one.number) for one in added] == [
        ("entities", FIRST_NUMBER),
        ("tagging", FIRST_NUMBER + 1),
    ]
    del output.message_type[1].field[-2:]
    assert [one.name for one in output.message_type[2:]] == [
        "NerstreamEntity",
        "NerstreamTagging",
    ]
    del output.message_type[2:]
    input_file.ClearField("name")
    assert output == input_file


@pytest.mark.parametrize("text", [PROTO2, EDITION], ids=["proto2", "edition 2023"])
def test_other_syntaxes(text: str) -> None:
    rig = Rig()
    file = compiled(text)
    name = f"{file.package}.Article".lstrip(".")
    message = message_class(file, name)(id="a", body="b")
    value = framed(rig.put(text), message, b"\x00")
    read: Any = rig.read(rig.tagged(value), name, 6)
    assert (read.id, read.body, len(read.entities)) == ("a", "b", 2)


def test_a_message_inside_a_message() -> None:
    rig = Rig()
    author = message_class(compiled(ARTICLE), "news.Article.Author")(name="A")
    path = b"\x04\x02\x04"  # two indexes: 1, 2; what maps are made of counts too
    value = framed(rig.put(ARTICLE), author, path)
    assert rig.format.parse(value) == {"name": "A"}
    read: Any = rig.read(rig.tagged(value), "news.Article.Author", 5 + len(path))
    assert (read.name, len(read.entities)) == ("A", 2)


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [
        (SubjectNameStrategy.TOPIC, "tagged-value"),
        (SubjectNameStrategy.RECORD, "news.Article"),
        (SubjectNameStrategy.TOPIC_RECORD, "tagged-news.Article"),
    ],
)
def test_the_strategy_names_the_subject(strategy: SubjectNameStrategy, subject: str) -> None:
    rig = Rig(strategy)
    rig.tagged(framed(rig.put(ARTICLE), article(id="a")))
    assert rig.registry.asked[-1] == f"register {subject}"


def test_a_file_that_others_import() -> None:
    rig = Rig()
    rig.registry.put(
        SchemaType.PROTOBUF, 'syntax = "proto3"; package p; message Agency { string n = 1; }', "a"
    )
    reference = SchemaReference("desk/agency.proto", "a", 1)
    text = """syntax = "proto3"; import "desk/agency.proto";
    message Article { string id = 1; p.Agency by = 2; }"""
    schema_id = rig.registry.put(SchemaType.PROTOBUF, text, "b", (reference,))
    value = framing.prefix(schema_id) + b"\x00" + b"\x0a\x01a\x12\x03\x0a\x01x"
    assert rig.format.parse(value) == {"id": "a", "by": {"n": "x"}}
    assert rig.tagged(value)[6:].startswith(value[6:])
    assert rig.registry.schemas[-1].references == (reference,)


class TestFieldsOfTheSameName:
    TEXT = """syntax = "proto3"; message Article {
      string id = 1; oneof o { string entities = 2; } optional int64 tagging = 3; string z = 4; }"""

    def test_those_that_a_message_brings_are_replaced(self) -> None:
        rig = Rig()
        message = message_class(compiled(self.TEXT), "Article")(
            id="a", entities="mine", tagging=5, z="z"
        )
        value = framed(rig.put(self.TEXT), message, b"\x00")
        read: Any = rig.read(rig.tagged(value), "Article", 6)
        assert (read.id, read.z, len(read.entities)) == ("a", "z", 2)
        assert b"mine" not in rig.tagged(value)

    def test_a_message_that_is_tagged_again_keeps_its_schema(self) -> None:
        rig = Rig()
        once = rig.tagged(framed(rig.put(ARTICLE), article(id="a", body="b")))
        assert rig.tagged(once) == once

    def test_a_message_of_our_name_that_is_another_is_refused(self) -> None:
        rig = Rig()
        rig.put('syntax = "proto3"; message Article {} message NerstreamEntity { int32 x = 1; }')
        code, message = rejection(rig, b"\x00\x00\x00\x00\x01\x00")
        assert code == RejectCode.WRONG_SCHEMA
        assert "NerstreamEntity" in message

    def test_a_field_of_our_number_is_refused(self) -> None:
        rig = Rig()
        rig.put(f'syntax = "proto3"; message Article {{ string x = {FIRST_NUMBER}; }}')
        code, message = rejection(rig, b"\x00\x00\x00\x00\x01\x00")
        assert code == RejectCode.WRONG_SCHEMA
        assert f"number {FIRST_NUMBER}" in message


class TestBadMessages:
    @pytest.mark.parametrize(
        ("payload", "said"),
        [
            (b"", "which of its messages"),
            (b"\x02", "which of its messages"),
            (b"\x01", "which of its messages"),
            (b"\xff" * 12, "which of its messages"),
            (b"\x02\x0e", "no message with the index [7]"),
            (b"\x02\x01", "no message with the index [-1]"),
            (
                b"\x02\xfe" + b"\xff" * 8 + b"\x01",
                "no message with the index [9223372036854775807]",
            ),
            # Ten bytes hold more than the 64 bits that a number may have.
            (b"\x02" + b"\xff" * 9 + b"\x7f", "which of its messages"),
            (b"\x02" + b"\xfe" * 9 + b"\x7f", "which of its messages"),
            (b"\x02\x02\x0a\x05ab", "do not fit"),
            (b"\x02\x02\x0a\x01\xff", "do not fit"),
        ],
    )
    def test_bytes_that_do_not_fit(self, payload: bytes, said: str) -> None:
        rig = Rig()
        rig.put(ARTICLE)
        code, message = rejection(rig, b"\x00\x00\x00\x00\x01" + payload)
        assert code == RejectCode.INVALID_PROTOBUF
        assert said in message

    def test_a_schema_that_protoc_refuses(self) -> None:
        rig = Rig()
        rig.put('syntax = "proto3";\nmessage Article { strin id = 1 }')
        code, message = rejection(rig, b"\x00\x00\x00\x00\x01\x00")
        assert code == RejectCode.WRONG_SCHEMA
        assert "2:" in message
        assert "/tmp" not in message

    @pytest.mark.parametrize("name", ["/etc/x.proto", "../x.proto", "a/../../x.proto"])
    def test_a_file_of_another_folder_is_not_written(self, name: str) -> None:
        rig = Rig()
        rig.registry.put(SchemaType.PROTOBUF, 'syntax = "proto3";', "a")
        rig.registry.put(SchemaType.PROTOBUF, "x", "b", (SchemaReference(name, "a", 1),))
        assert rejection(rig, b"\x00\x00\x00\x00\x02\x00")[0] == RejectCode.WRONG_SCHEMA

    @settings(deadline=None)  # a busy machine is no fault
    @given(st.binary(max_size=60))
    def test_any_bytes_are_a_message_or_a_rejection(self, payload: bytes) -> None:
        value = b"\x00\x00\x00\x00\x01\x00" + payload
        try:
            output = RIG.tagged(value)
        except RejectedMessage as reason:
            code = reason.code
        else:
            read: Any = RIG.read(output, "Article", 6)
            assert len(read.entities) == 2
            return
        assert code == RejectCode.INVALID_PROTOBUF


#: With fields to cut out, which walks through the bytes.
RIG = Rig()
RIG.put(TestFieldsOfTheSameName.TEXT)
