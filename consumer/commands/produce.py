"""`nerstream produce`: JSON lines from a file or standard input to a topic."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from consumer.commands.rate_bar import rate_bar
from consumer.contracts.errors import KafkaProblem, RejectedMessage, SettingsError
from consumer.settings.sources import add_settings_arguments, load_settings
from consumer.terminal import say_json, tell

#: The most that librdkafka lets `message.max.bytes` be; a longer line cannot be a message.
MAX_LINE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank: its number, its bytes without the line end, and where it ends."""

    number: int
    value: bytes
    end_bytes: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, the topic, and how to reach the brokers."""
    parser.add_argument("file", metavar="FILE", help="JSON lines; - is standard input")
    parser.add_argument("--topic", required=True, metavar="TOPIC", help="where to write")
    parser.add_argument(
        "--key-field",
        default="id",
        metavar="NAME",
        help="field whose value is the message's key; none sends no keys [default: id]",
    )
    parser.add_argument(
        "--repeat",
        type=_count,
        default=1,
        metavar="N",
        help="send the file so many times [default: 1]",
    )
    parser.add_argument(
        "--rate", type=_rate, metavar="N", help="messages a second [default: as fast as it goes]"
    )
    parser.add_argument("--json", action="store_true", help="print what was done as a JSON object")
    add_settings_arguments(parser, ("bootstrap_servers", "kafka"))


def run(arguments: argparse.Namespace) -> int:
    """Send the file; 0 when every message is acknowledged.

    Raises:
        SettingsError: the file cannot be read, or a setting is wrong.
        KafkaProblem: no broker answers, the topic is missing, a message was not taken.
    """
    settings = load_settings(arguments, os.environ)
    # What the client library logs comes back as an error, which is shown once.
    logging.getLogger("consumer").addHandler(logging.NullHandler())
    # Imported here, so that `--help` and a wrong setting do not wait for the client library.
    from consumer.kafka.tools.writer import TopicWriter

    with _opened(arguments.file) as stream, TopicWriter(settings, arguments.topic) as writer:
        if arguments.repeat > 1 and not stream.seekable():
            raise SettingsError(
                "--repeat", f"{arguments.file} can be read only once", "name a file on disk"
            )
        writer.open()
        started = time.monotonic()
        sent = 0
        size_bytes = _size_bytes(stream)
        total_bytes = None if size_bytes is None else size_bytes * arguments.repeat
        with rate_bar(total_bytes, "{task.fields[counted]:,} messages") as move:
            for line in _repeated(stream, arguments.repeat):
                if arguments.rate is not None:
                    writer.wait(started + sent / arguments.rate - time.monotonic())
                try:
                    writer.send(line.value, _key(line.value, arguments.key_field))
                except RejectedMessage as refused:
                    raise KafkaProblem(
                        f"{arguments.file}, line {line.number}: {refused.message}"
                    ) from refused
                sent += 1
                move(line.end_bytes, sent)
            writer.flush()
        seconds = time.monotonic() - started
    produced = writer.acknowledged
    messages = "1 message" if produced == 1 else f"{produced:,} messages"
    tell(f"produced {messages} to {arguments.topic} in {seconds:.1f} s")
    if arguments.json:
        say_json({"produced": produced, "topic": arguments.topic, "seconds": round(seconds, 3)})
    return 0


def lines(stream: BinaryIO) -> Iterator[Line]:
    """The lines that are not blank; holds one at a time.

    Raises:
        SettingsError: a line is longer than any message can be.
    """
    number = end_bytes = 0
    while text := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        end_bytes += len(text)
        if len(text) > MAX_LINE_BYTES:
            raise SettingsError(
                "FILE",
                f"line {number} is longer than {MAX_LINE_BYTES:,} bytes",
                "it must have one message a line",
            )
        if number == 1:
            # A byte order mark belongs to the file, not to its first message.
            text = text.removeprefix(b"\xef\xbb\xbf")
        if not text.isspace() and text:
            yield Line(number, text.rstrip(b"\r\n"), end_bytes)


def _repeated(stream: BinaryIO, times: int) -> Iterator[Line]:
    before_bytes = 0
    for turn in range(times):
        if turn:
            stream.seek(0)
        end_bytes = 0
        for line in lines(stream):
            end_bytes = line.end_bytes
            yield Line(line.number, line.value, before_bytes + end_bytes)
        before_bytes += end_bytes


def _key(value: bytes, field: str) -> bytes | None:
    """The document's id, as the bytes that a Java producer with a string key would send."""
    if field == "none":
        return None
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        # It goes out as it is: telling a person what is wrong with it is the worker's task.
        return None
    found = document.get(field) if isinstance(document, dict) else None
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return str(found).encode() or None


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - closed below; only opening is guarded
    except OSError as error:
        raise SettingsError(
            "FILE",
            f"{name} cannot be read ({error.strerror})",
            "it must be a file of JSON lines, or - for standard input",
        ) from error
    with stream:
        yield stream


def _size_bytes(stream: BinaryIO) -> int | None:
    """Of a file; None where there is none, or its size is not known."""
    with contextlib.suppress(OSError):
        return os.fstat(stream.fileno()).st_size or None
    return None


def _count(text: str) -> int:
    with contextlib.suppress(ValueError):
        if int(text) >= 1:
            return int(text)
    raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of at least 1')


def _rate(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f'"{text}" is not a number above 0')
