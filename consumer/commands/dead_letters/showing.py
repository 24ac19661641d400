"""`nerstream dead-letters show`."""

from __future__ import annotations

import argparse
import os
import sys

from consumer.commands import times
from consumer.commands.dead_letters import written
from consumer.commands.dead_letters.arguments import add_connection_arguments, count, place
from consumer.commands.dead_letters.progress import Bar
from consumer.contracts.errors import KafkaProblem, SettingsError
from consumer.contracts.headers import is_replay_mark
from consumer.contracts.messages import RawMessage
from consumer.contracts.safe_text import safe_bytes
from consumer.dead_letters.letter import DeadLetter, read_letter
from consumer.dead_letters.marks import Origin, Sent
from consumer.dead_letters.survey import read_on
from consumer.dead_letters.waiting import Waiting
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.terminal import say, say_json

#: Bytes of the value that a person sees, unless more are asked for.
_BYTES = 4_096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which one, how it is shown, and how to reach the brokers."""
    parser.add_argument(
        "letter",
        type=place,
        metavar="PARTITION/OFFSET",
        help="where it stands in the dead-letter topic, such as 3/1041; list shows it",
    )
    parser.add_argument(
        "--bytes",
        type=count,
        default=_BYTES,
        metavar="N",
        help=f"show so many bytes of the value at most [default: {_BYTES}]",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--raw",
        action="store_true",
        help="write the value's bytes as they are, for a file or a pipe",
    )
    form.add_argument("--json", action="store_true", help="one JSON object, with all bytes")
    add_connection_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show it.

    Raises:
        SettingsError, KafkaProblem: as the command's `run`.
    """
    settings = load_settings(arguments, os.environ)
    if arguments.raw and sys.stdout.isatty():
        raise SettingsError(
            "--raw",
            "standard output is a terminal, which the bytes could do something to",
            "send them to a file or a pipe, or leave --raw out",
        )
    letter, sent = _find(settings, *arguments.letter)
    if arguments.raw:
        sys.stdout.buffer.write(letter.raw.value or b"")
    elif arguments.json:
        say_json(written.whole(letter, sent))
    else:
        _show(letter, sent, settings.dead_letter_topic, arguments.bytes)
    return 0


def _find(settings: Settings, part: int, offset: int) -> tuple[DeadLetter, tuple[str, ...]]:
    """The letter, and the topics that it was sent to."""
    # Imported here, so that `--help` and a wrong setting do not wait for the client library.
    from consumer.kafka.tools.bounded_reader import BoundedReader

    topic = settings.dead_letter_topic
    found: list[RawMessage] = []
    with BoundedReader(settings, topic, "dead_letter_topic") as reader, Bar() as bar:
        bounds = reader.bounds().get(part)
        if bounds is None:
            raise KafkaProblem(
                f"the topic {topic} has no partition {part}; it has 0 to {len(reader.bounds()) - 1}"
            )
        if not bounds.begin <= offset < bounds.stable_end:
            raise KafkaProblem(
                f"{topic}[{part}] has no offset {offset}; it has {bounds.begin} to "
                f"{bounds.stable_end - 1}"
                if bounds.begin < bounds.stable_end
                else f"{topic}[{part}] is empty"
            )
        sent = Sent(Origin(reader.cluster_id(), topic))
        reader.start({part: (offset, bounds.stable_end)})
        for raw in read_on(reader, Waiting(reader, topic, bar, is_stable=True)):
            if raw.position.offset == offset:
                found.append(raw)
            elif is_replay_mark(raw.headers):
                sent.read(raw)
    if not found:
        raise KafkaProblem(
            f"no message stands at {part}/{offset} of {topic}: a transaction ends there, or took "
            "it back; nerstream dead-letters list shows those that there are"
        )
    letter = read_letter(found[0])
    if letter is None:
        what = (
            "the mark of a replay"
            if is_replay_mark(found[0].headers)
            else "a message of another program"
        )
        raise KafkaProblem(f"what stands at {part}/{offset} of {topic} is no dead letter: {what}")
    return letter, sent.destinations(part, offset)


def _show(letter: DeadLetter, sent: tuple[str, ...], topic: str, most_bytes: int) -> None:
    """A line a fact, then the headers, then the value, indented so that it passes for nothing
    else."""
    position = letter.raw.position
    facts = {
        "letter": f"{topic}/{position.topic_partition.partition}/{position.offset}",
        "code": letter.code,
        "reason": letter.reason,
        "stage": letter.stage,
        "from": written.place(letter),
        "timestamp": times.written(letter.timestamp_ms) or "none",
        "attempts": str(letter.attempts),
        "sent to": ", ".join(sent) or "nowhere yet",
        "version": letter.version,
    }
    for name, text in facts.items():
        say(f"{name:<10} {text}")
    key = letter.raw.key
    say(f"{'key':<10} {'null' if key is None else safe_bytes(key)}")
    for number, (name, value) in enumerate(letter.headers):
        label = "" if number else "headers"
        say(f"{label:<10} {name}: {'null' if value is None else safe_bytes(value)}")
    value = letter.raw.value
    if value is None:
        say(f"{'value':<10} null")
        return
    say(f"{'value':<10} {len(value):,} bytes")
    for line in safe_bytes(value[:most_bytes], lines=True).split("\n"):
        say(f"  {line.expandtabs(4)}")
    if len(value) > most_bytes:
        say(f"{'':<10} and {len(value) - most_bytes:,} bytes more; see --bytes and --raw")
