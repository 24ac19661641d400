"""Schemas in Protobuf as descriptors: decoded where they are serialised, compiled where they are
text."""

from __future__ import annotations

import base64
import binascii
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage

#: Seconds that a schema may take to compile; it takes a tenth of one.
_COMPILE_S = 60.0


def file_descriptor(
    name: str, text: str, imports: Sequence[FileDescriptorProto]
) -> FileDescriptorProto:
    """The descriptor of a schema.

    A registry gives either a `.proto` file as text, or its descriptor in base64; which of them
    depends on the registry, and on what was registered.

    Args:
        name: what the file is called from now on.
        text: the schema.
        imports: all files that it may import.

    Raises:
        RejectedMessage: wrong_schema; it is neither.
    """
    try:
        serialised = base64.b64decode(text, validate=True)
        found = FileDescriptorProto.FromString(serialised)
    except (binascii.Error, ValueError, DecodeError):
        return _compiled(name, text, imports)
    found.name = name
    return found


def _compiled(name: str, text: str, imports: Sequence[FileDescriptorProto]) -> FileDescriptorProto:
    """In a process of its own: protoc says what is wrong on standard error, and whatever it does
    with a schema of strangers ends with it."""
    with tempfile.TemporaryDirectory(prefix="nerstream-protoc-") as folder:
        source, known, compiled = (Path(folder, part) for part in (name, "known", "compiled"))
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text, encoding="utf-8")
        known.write_bytes(FileDescriptorSet(file=imports).SerializeToString())
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={folder}"]
        command += [f"--descriptor_set_in={known}", f"--descriptor_set_out={compiled}", str(source)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_COMPILE_S
            )
        except subprocess.TimeoutExpired:
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA, f"protoc took more than {_COMPILE_S:g} s for its schema"
            ) from None
        if done.returncode != 0:
            said = " ".join(done.stderr.replace(f"{folder}/", "").split()) or "no reason given"
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA, f"protoc cannot compile its schema: {said}"
            )
        return FileDescriptorSet.FromString(compiled.read_bytes()).file[0]
