"""Protobuf schemas for the tests, compiled, and the classes of their messages."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from consumer.codec.registry.protoc import file_descriptor
from consumer.kafka.registry import bundled_protobuf_file

ARTICLE = """
syntax = "proto3";
package news;
import "google/protobuf/timestamp.proto";
import "google/type/money.proto";

message Other { string x = 1; }

// The article.
message Article {
  string id = 1;
  optional string title = 2;
  string body = 3;
  google.protobuf.Timestamp at = 4;
  google.type.Money price = 5;
  map<string, Other> others = 6;
  map<int32, bytes> digests = 7;
  oneof source { string agency = 8; Author author = 9; }
  enum Desk { DESK_UNSPECIFIED = 0; WORLD = 1; SPORT = 2; }
  Desk desk = 10;
  repeated Desk desks = 11;
  bytes raw = 12;
  repeated sint64 numbers = 13;
  fixed64 big = 14;
  double share = 15;
  float part = 16;
  bool flag = 17;
  message Author { string name = 1; repeated Article wrote = 2; }
  reserved 20, 30 to 40;
}
"""


def bundled(names: Any) -> list[FileDescriptorProto]:
    found: list[FileDescriptorProto] = []
    for name in names:
        serialised = bundled_protobuf_file(name)
        assert serialised is not None
        file = FileDescriptorProto.FromString(serialised)
        found += [*bundled(file.dependency), file]
    return found


@cache
def _compiled(text: str) -> bytes:
    known = bundled(["google/protobuf/timestamp.proto", "google/type/money.proto"])
    return file_descriptor("input.proto", text, known).SerializeToString()


def compiled(text: str) -> FileDescriptorProto:
    return FileDescriptorProto.FromString(_compiled(text))


def message_class(file: FileDescriptorProto, name: str) -> Any:
    pool = descriptor_pool.DescriptorPool()
    for one in [*bundled(file.dependency), file]:
        pool.Add(one)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
