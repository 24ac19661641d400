"""Arguments that the actions share: which dead letters are meant."""

from __future__ import annotations

import argparse
import contextlib

from consumer.commands import times
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import SettingsError
from consumer.dead_letters.letter_filter import LetterFilter
from consumer.settings import topic_patterns
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.values import is_topic_name

#: What it takes to reach the brokers and the topic.
SETTINGS = ("bootstrap_servers", "dead_letter_topic", "kafka")


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """Which dead letters are meant; all that is given must hold."""
    group = parser.add_argument_group("Which dead letters (all of them, unless you say so)")
    group.add_argument(
        "--code",
        action="append",
        type=_codes,
        metavar="CODE,...",
        help=f"rejected for one of these reasons: {', '.join(RejectCode)}",
    )
    group.add_argument(
        "--topic",
        action="append",
        type=_topics,
        metavar="TOPIC,...",
        help="came from one of these input topics; ^news-.* is a pattern, as in input_topics",
    )
    group.add_argument(
        "--from",
        dest="from_ms",
        type=times.moment,
        metavar="TIME",
        help="the message's own timestamp is not before this: " + times.FORMS,
    )
    group.add_argument(
        "--until",
        dest="until_ms",
        type=times.moment,
        metavar="TIME",
        help="the message's own timestamp is before this",
    )
    group.add_argument(
        "--text",
        default="",
        metavar="TEXT",
        help="stands in the reason, in capitals or not",
    )
    group.add_argument(
        "--letter",
        action="append",
        type=place,
        metavar="PARTITION/OFFSET",
        help="stands there in the dead-letter topic; may be repeated",
    )


def add_connection_arguments(parser: argparse.ArgumentParser, *more: str) -> None:
    """The settings that `nerstream run` has for the same brokers and topic."""
    add_settings_arguments(parser, (*SETTINGS, *more))


def filter_from(arguments: argparse.Namespace, settings: Settings) -> LetterFilter:
    """What `add_filter_arguments` was given.

    Raises:
        SettingsError: it can take in nothing.
    """
    topics = tuple(one for many in arguments.topic or () for one in many)
    if settings.dead_letter_topic in topics:
        raise SettingsError(
            "--topic",
            f"{settings.dead_letter_topic} is the dead-letter topic itself",
            "--topic says where dead letters came from, --dead-letter-topic where they are",
        )
    span = (arguments.from_ms, arguments.until_ms)
    if None not in span and span[0] >= span[1]:
        raise SettingsError(
            "--until",
            f"{times.written(span[1])} is not after --from, which is {times.written(span[0])}",
            "it must be later",
        )
    return LetterFilter(
        codes=frozenset(one for many in arguments.code or () for one in many),
        topics=topics,
        from_ms=arguments.from_ms,
        until_ms=arguments.until_ms,
        text=arguments.text,
        places=frozenset(arguments.letter or ()),
    )


def place(text: str) -> tuple[int, int]:
    """`3/1041` as partition and offset, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is no such place.
    """
    partition, slash, offset = text.partition("/")
    with contextlib.suppress(ValueError):
        # No partition has a number of more than 32 bits, no offset one of more than 64.
        if slash and text.isascii() and 0 <= int(partition) < 2**31 and 0 <= int(offset) < 2**63:
            return int(partition), int(offset)
    raise argparse.ArgumentTypeError(
        f'"{text}" is no place; write PARTITION/OFFSET, such as 3/1041, as list shows it'
    )


def count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    with contextlib.suppress(ValueError):
        if int(text) >= 1:
            return int(text)
    raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of at least 1')


def rate(text: str) -> float:
    """A number above 0, for argparse."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f'"{text}" is not a number above 0')


def topic_name(text: str) -> str:
    """The name of a topic, for argparse."""
    if not is_topic_name(text):
        raise argparse.ArgumentTypeError(
            f'"{text}" is no name of a topic; it must be 1 to 249 letters, digits, dots, '
            "underscores or hyphens"
        )
    return text


def _codes(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(","))
    for one in found:
        if one not in list(RejectCode):
            raise argparse.ArgumentTypeError(
                f'"{one}" is no code; they are {", ".join(RejectCode)}'
            )
    return found


def _topics(text: str) -> tuple[str, ...]:
    found = topic_patterns.split(text)
    for one in found:
        if topic_patterns.is_pattern(one):
            fault = topic_patterns.fault_of(one)
            if fault is not None:
                raise argparse.ArgumentTypeError("; ".join(fault))
    if not found:
        raise argparse.ArgumentTypeError("it names no topic")
    return found
