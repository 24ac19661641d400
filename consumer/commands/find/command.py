"""`nerstream find`: where a message is, and what became of it."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from consumer.audit.fate import Fate
from consumer.commands.find.report import as_json, as_text, exit_code
from consumer.commands.times import FORMS, moment
from consumer.contracts.choices import Delivery, InputFormat, NoText, OutputFormat
from consumer.contracts.errors import SettingsError
from consumer.contracts.messages import Position, TopicPartition
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.terminal import say, say_json, tell

if TYPE_CHECKING:
    from consumer.commands.find.search import Move

#: The worker's settings that mean something here.
SETTINGS = (
    "bootstrap_servers",
    "input_topics",
    "output_topic",
    "dead_letter_topic",
    "group_id",
    "kafka",
    "delivery",
    "transaction_timeout_ms",
    "preset",
    "text_fields",
    "id_field",
    "output_field",
    "input_format",
    "output_format",
    "registry",
)

_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which messages, what to print, and the worker's settings."""
    parser.add_argument(
        "places",
        nargs="*",
        type=_place,
        metavar="PLACE",
        help="TOPIC/PARTITION/OFFSET of the input, as __nerstream.source and the log have it; or "
        "of the output or the dead letters, and its input is meant",
    )
    parser.add_argument(
        "--id",
        metavar="ID",
        help="the messages of the input whose article has this id, or whose key is it",
    )
    parser.add_argument(
        "--from",
        dest="begin",
        type=moment,
        metavar="TIME",
        help=f"with --id, look from the first message of this time or later: {FORMS} "
        "[default: the beginning]",
    )
    parser.add_argument(
        "--until",
        type=moment,
        metavar="TIME",
        help="with --id, look as far as the first message of this time or later [default: the end]",
    )
    parser.add_argument(
        "--all",
        dest="finds_all",
        action="store_true",
        help="look for every outcome, to the end of the output; by default the first is enough, "
        "but for delivery=at_least_once",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a message")
    add_settings_arguments(parser, SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """Find them; 0 when each has an outcome, 3 when some are on their way, 1 when one has none.

    Raises:
        SettingsError: a setting is wrong, or a place is none.
        KafkaProblem: no broker answers, or a topic is missing.
    """
    settings = load_settings(arguments, os.environ)
    _check(arguments)
    # What the client library logs comes back as an error, which is shown once.
    logging.getLogger("consumer").addHandler(logging.NullHandler())
    fates = _found(arguments, settings)
    if not fates and not arguments.json:
        tell(f"no message of the input has the id or key {arguments.id} there")
    for number, fate in enumerate(fates):
        if arguments.json:
            say_json(as_json(fate))
            continue
        if number:
            say()
        topics = (settings.group_id, settings.output_topic, settings.dead_letter_topic)
        for line in as_text(fate, *topics):
            say(line)
    return exit_code(fates)


def _found(arguments: argparse.Namespace, settings: Settings) -> list[Fate]:
    # Imported here, so that `--help` and a wrong setting do not wait for the client library.
    from consumer.commands.find.search import Search
    from consumer.kafka.tools.places import Places
    from consumer.kafka.tools.ranges import RangeReader
    from consumer.loading import worker_codec_from

    # An article without text has an id all the same.
    inputs = settings.model_copy(update={"no_text": NoText.PASS})
    outputs = settings
    if settings.output_format is OutputFormat.JSON:
        outputs = settings.model_copy(update={"input_format": InputFormat.JSON})
    with (
        contextlib.closing(worker_codec_from(inputs)) as decoder,
        contextlib.closing(worker_codec_from(outputs)) as output_decoder,
        Places(settings) as places,
        RangeReader(settings) as reader,
        _progress() as move,
    ):
        search = Search(
            places,
            reader,
            settings,
            decoder,
            output_decoder,
            move,
            finds_all=arguments.finds_all or settings.delivery is Delivery.AT_LEAST_ONCE,
        )
        positions = search.inputs_of(arguments.places)
        if arguments.id is not None:
            positions += search.named(arguments.id, arguments.begin, arguments.until)
        return list(search.fates(list(dict.fromkeys(positions))))


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.places and arguments.id is None:
        raise SettingsError(
            "PLACE",
            "nothing says which message is meant",
            "name its TOPIC/PARTITION/OFFSET, or its --id",
        )
    if arguments.id is None and (arguments.begin is not None or arguments.until is not None):
        raise SettingsError(
            "--from" if arguments.begin is not None else "--until",
            "a place needs no time",
            "leave it out, or look for an --id",
        )
    if arguments.id == "":
        raise SettingsError("--id", "it is empty", "give the id of an article")
    if None not in (arguments.begin, arguments.until) and arguments.begin >= arguments.until:
        raise SettingsError("--until", "it is not after --from", "it must be later")


@contextlib.contextmanager
def _progress() -> Iterator[Move]:
    """A bar on standard error where that is a terminal, and nothing elsewhere."""
    # Imported here, so that `--help` does not wait for it.
    from rich.progress import TaskProgressColumn

    from consumer.commands.rate_bar import rate_bar

    text = "{task.completed:,.0f} offsets"
    with rate_bar(None, text, TaskProgressColumn()) as move:
        before, latest = 0, 0

        def show(done: int, total: int) -> None:
            nonlocal before, latest
            del total
            if done < latest:  # another stretch has begun
                before += latest
            latest = done
            move(before + done, before + done)

        yield show


def _place(text: str) -> Position:
    """`articles/3/1204`, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is no such place.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f'"{text}" is no place; write TOPIC/PARTITION/OFFSET, such as articles/3/1204'
        )
    return Position(TopicPartition(found[1], int(found[2])), int(found[3]))
