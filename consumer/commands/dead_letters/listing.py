"""`nerstream dead-letters list`."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from consumer.commands import times
from consumer.commands.dead_letters import written
from consumer.commands.dead_letters.arguments import (
    add_connection_arguments,
    add_filter_arguments,
    count,
    filter_from,
)
from consumer.commands.dead_letters.columns import Columns
from consumer.commands.dead_letters.progress import Bar
from consumer.contracts.headers import is_replay_mark
from consumer.contracts.messages import RawMessage
from consumer.contracts.words import counted
from consumer.dead_letters.counts import Counts
from consumer.dead_letters.letter import DeadLetter, read_letter
from consumer.dead_letters.letter_filter import LetterFilter
from consumer.dead_letters.marks import Origin, Sent
from consumer.dead_letters.survey import read_on
from consumer.dead_letters.waiting import Waiting
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.terminal import say, say_json, tell

if TYPE_CHECKING:
    from consumer.kafka.tools.bounded_reader import BoundedReader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which letters, how they are shown, and how to reach the brokers."""
    add_filter_arguments(parser)
    parser.add_argument(
        "--unsent", action="store_true", help="only those that no replay has sent yet"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--counts", action="store_true", help="how many there are by code, instead of each"
    )
    form.add_argument("--limit", type=count, metavar="N", help="show so many at most")
    parser.add_argument(
        "--json", action="store_true", help="JSON lines: one object a dead letter, or a code"
    )
    add_connection_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show them; 0 also where there are none.

    Raises:
        SettingsError, KafkaProblem: as the command's `run`.
    """
    settings = load_settings(arguments, os.environ)
    wanted = filter_from(arguments, settings)
    # Imported here, so that `--help` and a wrong setting do not wait for the client library.
    from consumer.kafka.tools.bounded_reader import BoundedReader

    with BoundedReader(settings, settings.dead_letter_topic, "dead_letter_topic") as reader:
        if arguments.counts:
            _show_counts(reader, settings, wanted, arguments)
        else:
            _show_letters(reader, settings, wanted, arguments)
    return 0


def _show_letters(
    reader: BoundedReader, settings: Settings, wanted: LetterFilter, arguments: argparse.Namespace
) -> None:
    spans = _spans(reader)
    # Marks stand behind the letters that they are about, so they are read first.
    sent = _read_marks(reader, settings, spans)
    screen = _JsonLines() if arguments.json else _Table()
    listed: Counter[str] = Counter()
    again = 0
    for letter in _letters(reader, settings, spans, wanted):
        position = letter.raw.position
        to = sent.destinations(position.topic_partition.partition, position.offset)
        if to and arguments.unsent:
            continue
        if arguments.limit is not None and listed.total() >= arguments.limit:
            screen.end(f"and more; --limit {arguments.limit} ends the list here")
            return
        listed[letter.code] += 1
        again += bool(to)
        screen.show(letter, to)
    screen.end(_told(listed, again))


def _letters(
    reader: BoundedReader,
    settings: Settings,
    spans: dict[int, tuple[int, int]],
    wanted: LetterFilter,
) -> Iterable[DeadLetter]:
    """One partition after the other, each in its order."""
    for part in sorted(spans):
        # Letters appear meanwhile, so that there is no bar.
        for raw in _messages(reader, settings, {part: spans[part]}, Bar()):
            letter = read_letter(raw)
            if letter is not None and wanted.takes_in(letter):
                yield letter


def _read_marks(
    reader: BoundedReader, settings: Settings, spans: dict[int, tuple[int, int]]
) -> Sent:
    sent = Sent(Origin(reader.cluster_id(), settings.dead_letter_topic))
    with Bar() as bar:
        for raw in _messages(reader, settings, spans, bar):
            if is_replay_mark(raw.headers):
                sent.read(raw)
    return sent


def _messages(
    reader: BoundedReader, settings: Settings, spans: dict[int, tuple[int, int]], bar: Bar
) -> Iterator[RawMessage]:
    reader.start(spans)
    waiting = Waiting(reader, settings.dead_letter_topic, bar, is_stable=True)
    return read_on(reader, waiting)


def _spans(reader: BoundedReader) -> dict[int, tuple[int, int]]:
    """All that a `read_committed` reader sees now."""
    return {part: (one.begin, one.stable_end) for part, one in reader.bounds().items()}


def _show_counts(
    reader: BoundedReader, settings: Settings, wanted: LetterFilter, arguments: argparse.Namespace
) -> None:
    counts = Counts(Origin(reader.cluster_id(), settings.dead_letter_topic), wanted)
    with Bar() as bar:
        for raw in _messages(reader, settings, _spans(reader), bar):
            counts.note(raw)
    lines = [one for one in counts.lines() if one.unsent or not arguments.unsent]
    if arguments.json:
        for one in lines:
            say_json(
                {
                    "code": one.code,
                    "letters": one.letters,
                    "unsent": one.unsent,
                    "oldest": times.written(one.oldest_ms) or None,
                    "newest": times.written(one.newest_ms) or None,
                    "topics": list(one.topics),
                }
            )
        return
    table = Columns(
        ("code", "letters", "unsent", "oldest", "newest", "from"), ("letters", "unsent")
    )
    for one in lines:
        table.add(
            (
                one.code,
                f"{one.letters:,}",
                f"{one.unsent:,}",
                times.written(one.oldest_ms),
                times.written(one.newest_ms),
                ", ".join(one.topics),
            )
        )
    table.flush()
    letters, unsent = (sum(one.letters for one in lines), sum(one.unsent for one in lines))
    say()
    say(f"{counted(letters, 'dead letter')}, {unsent:,} of them not sent back")


def _told(listed: Counter[str], again: int) -> str:
    if not listed:
        return "no dead letters"
    codes = ", ".join(f"{code} {number:,}" for code, number in listed.most_common())
    letters = counted(listed.total(), "dead letter")
    sent = f"; {again:,} of them sent back" if again else ""
    return f"{letters}: {codes}{sent}"


class _JsonLines:
    """Objects on standard output, all else on standard error."""

    def show(self, letter: DeadLetter, to: tuple[str, ...]) -> None:
        say_json(written.summary(letter, to))

    def end(self, text: str) -> None:
        tell(text)


class _Table:
    """A line a letter."""

    def __init__(self) -> None:
        self._columns = Columns(
            ("letter", "timestamp", "code", "from", "attempts", "sent to", "reason"), ("attempts",)
        )
        self._is_empty = True

    def show(self, letter: DeadLetter, to: tuple[str, ...]) -> None:
        self._is_empty = False
        position = letter.raw.position
        self._columns.add(
            (
                f"{position.topic_partition.partition}/{position.offset}",
                times.written(letter.timestamp_ms),
                letter.code,
                written.place(letter),
                str(letter.attempts),
                ", ".join(to),
                letter.reason,
            )
        )

    def end(self, text: str) -> None:
        if not self._is_empty:
            self._columns.flush()
            say()
        say(text)
