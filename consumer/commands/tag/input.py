"""Text or JSON lines, each with the number of its line, and the articles that they are."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import orjson

from consumer.codec.article_codec import Codec
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage, SettingsError
from consumer.contracts.messages import (
    Article,
    Position,
    RawMessage,
    Tombstone,
    TopicPartition,
    Untagged,
)
from consumer.settings.paths import is_path
from consumer.standard_streams import GuardedInput

#: Name that stands for standard input.
STANDARD_INPUT = "-"

#: Field that a line of text becomes, unless the text fields are plain names and it is none of them.
_TEXT_FIELD = "body"

#: Lines read ahead: enough to fill a batch of short articles while the model works.
_LINES_AHEAD = 64

#: Endings of file names that say JSON lines.
_JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class InputFormat(StrEnum):
    """How the input is to be read."""

    AUTO = "auto"
    TEXT = "text"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank: its number, from 1, and its bytes without the line end."""

    number: int
    value: bytes


def add_format_argument(parser: argparse.ArgumentParser) -> None:
    """How the input is to be read."""
    parser.add_argument(
        "--input-format",
        # Not the setting of this name, which says how messages in Kafka are written.
        dest="lines_format",
        choices=list(InputFormat),
        default=InputFormat.AUTO,
        help="auto takes JSON lines where the file is named .jsonl, .ndjson or .json, or its "
        "first character is {, else text, each line an article [default: auto]",
    )


@contextlib.contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The input, `-` being standard input.

    Raises:
        SettingsError: the file cannot be read.
    """
    if name == STANDARD_INPUT:
        yield _standard_input()
        return
    with contextlib.ExitStack() as files:
        try:
            stream = files.enter_context(Path(name).open("rb"))
            stream.peek(1)
        except OSError as error:
            raise SettingsError(
                "FILE",
                f"{name} cannot be read ({error.strerror})",
                "it must be a file of text or JSON lines, or - for standard input",
            ) from error
        yield stream


def lines(stream: BinaryIO) -> Iterator[Line]:
    """The lines that are not blank; holds one at a time."""
    for number, line in enumerate(stream, 1):
        # A byte order mark belongs to the file, not to its first line.
        value = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).rstrip(b"\r\n")
        if value and not value.isspace():
            yield Line(number, value)


def whole(stream: BinaryIO) -> Iterator[Line]:
    """The whole input as one line."""
    value = stream.read().removeprefix(_BYTE_ORDER_MARK)
    if value and not value.isspace():
        yield Line(1, value)


def detected(name: str, wanted: InputFormat, first: Line | None) -> InputFormat:
    """The format of an input: the wanted one, else by the file's name, else by its first line."""
    if wanted is not InputFormat.AUTO:
        return wanted
    begins_object = first is not None and first.value.lstrip().startswith(b"{")
    if Path(name).suffix.lower() in _JSON_SUFFIXES or begins_object:
        return InputFormat.JSONL
    return InputFormat.TEXT


def article_reader(
    name: str, wanted: InputFormat, first: Line | None, codec: Codec
) -> Callable[[Line], Article | Untagged | Tombstone]:
    """What makes articles of an input's lines, each of which it may refuse (RejectedMessage).

    Args:
        name: of the input; stands for the topic.
        wanted: its format.
        first: its first line, by which the format may be known.
        codec: the worker's own.
    """
    if detected(name, wanted, first) is not InputFormat.TEXT:
        return lambda line: codec.decode(_as_message(name, line, line.value))
    fields = codec.text_fields
    field = _TEXT_FIELD if _TEXT_FIELD in fields or is_path(fields[0]) else fields[0]
    # Text is an article of our own making, wherever the messages have theirs.
    of_text = Codec((field,))
    return lambda line: of_text.decode(_as_message(name, line, _text_as_article(line, field)))


def _text_as_article(line: Line, field: str) -> bytes:
    """Text as the article that it stands for: its line's number is its id.

    Raises:
        RejectedMessage: it is not UTF-8.
    """
    try:
        text = line.value.decode()
    except UnicodeDecodeError as error:
        raise RejectedMessage(
            RejectCode.INVALID_UTF8, f"byte {error.start} of the text is not UTF-8"
        ) from error
    return orjson.dumps({"id": str(line.number), field: text})


def _as_message(name: str, line: Line, value: bytes) -> RawMessage:
    """What the worker's codec takes; the line's number takes the place of the offset."""
    return RawMessage(
        position=Position(TopicPartition(name, 0), line.number),
        key=None,
        value=value,
        headers=(),
        timestamp_ms=None,
        assignment=0,
    )


def _standard_input() -> BinaryIO:
    # A file of its own: at its end the interpreter closes sys.stdin, and dies where a thread
    # still waits in it.
    with contextlib.suppress(OSError, ValueError):
        return io.BufferedReader(GuardedInput(os.dup(sys.stdin.fileno())))
    return sys.stdin.buffer


class Readahead:
    """Reads lines in a thread of its own, so that a slow pipe never delays what has come.

    Args:
        source: the lines.
    """

    def __init__(self, source: Iterator[Line]) -> None:
        self._source = source
        self._queue: queue.Queue[Line | BaseException | None] = queue.Queue(_LINES_AHEAD)
        self._ended = False
        threading.Thread(target=self._read, name="nerstream-tag-input", daemon=True).start()

    def next_lines(self, most: int) -> Sequence[Line]:
        """Waits for one line, then takes what else is there; empty at the end.

        Raises:
            OSError: reading failed.
        """
        taken: list[Line] = []
        while not self._ended and len(taken) < most:
            try:
                item = self._queue.get(block=not taken)
            except queue.Empty:
                break
            if isinstance(item, BaseException):
                raise item
            if item is None:
                self._ended = True
            else:
                taken.append(item)
        return taken

    def _read(self) -> None:
        end: BaseException | None = None
        try:
            for line in self._source:
                self._queue.put(line)
        except BaseException as error:
            end = error
        self._queue.put(end)
