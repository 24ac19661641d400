"""Lines for the person, or the program, that gave a command.

Every command writes by these functions. Whatever stands in a line, it stays one line, and moves no
terminal: a message's id, a topic's or a file's name cannot pass for something that we say.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from consumer.contracts.errors import NerstreamError
from consumer.contracts.safe_text import safe, safe_json


def say(text: str = "") -> None:
    """A line on standard output."""
    sys.stdout.write(safe(text) + "\n")


def tell(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(safe(text) + "\n")


def tell_error(text: str) -> None:
    """What went wrong, in a line on standard error."""
    tell(f"nerstream: error: {text}")


def tell_failure(failure: NerstreamError) -> None:
    """What went wrong, in a line each on standard error."""
    for line in failure.lines:
        tell_error(line)


def say_json(document: Mapping[str, Any], *, indented: bool = False) -> None:
    """One JSON object on standard output, all that is unsafe in it in JSON's own escapes.

    Args:
        indented: spread over lines, for a person too; else it is one line.
    """
    # Imported here, since every command imports this module before it can be interrupted.
    import json

    import orjson

    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indented else None).decode()
    if not _is_utf8(sys.stdout):
        text = json.dumps(document, indent=2 if indented else None)
    for line in text.split("\n"):
        sys.stdout.write(safe_json(line) + "\n")


def write_message(value: bytes, stream: TextIO) -> None:
    """A message in JSON, on a line: byte for byte for a program, harmless on a terminal."""
    if stream.isatty():
        value = safe_json(value.decode()).encode()
    stream.buffer.write(value + b"\n")


def _is_utf8(stream: TextIO) -> bool:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").replace("_", "") == "utf8"
