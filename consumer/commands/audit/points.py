"""Points: where in the input an audit begins and ends, as a person writes it."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from consumer.commands.times import FORMS, moment
from consumer.contracts.messages import TopicPartition

#: As Kafka's `kafka-get-offsets.sh` prints it.
_OFFSET = re.compile(r"([A-Za-z0-9._-]+):([0-9]{1,9}):([0-9]{1,18})")


class Named(StrEnum):
    """Points that have a name."""

    EARLIEST = "earliest"
    LATEST = "latest"
    COMMITTED = "committed"


@dataclass(frozen=True, slots=True)
class Point:
    """One of the three.

    Attributes:
        named: a point by name.
        time_ms: the first message that is not older, in milliseconds since the epoch.
        offsets: an offset for each of some partitions; the others have the default.
    """

    named: Named | None = None
    time_ms: int | None = None
    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)


def begin_point(text: str) -> Point:
    """Where the inputs begin, for argparse.

    Raises:
        argparse.ArgumentTypeError: it means nothing, or no input can come after it.
    """
    now_ms = int(time.time() * 1000)
    found = point(text)
    if found.named is Named.LATEST or (found.time_ms is not None and found.time_ms >= now_ms):
        raise argparse.ArgumentTypeError(
            f'"{text}" leaves nothing to audit, since no input comes after it; write earliest, '
            "committed, a time that is past, or offsets"
        )
    return found


def until_point(text: str) -> Point:
    """Where the inputs end, for argparse.

    Raises:
        argparse.ArgumentTypeError: it means nothing, or no input can come before it.
    """
    found = point(text)
    if found.named is Named.EARLIEST or (found.time_ms is not None and found.time_ms <= 0):
        raise argparse.ArgumentTypeError(
            f'"{text}" leaves nothing to audit, since no input comes before it; write committed, '
            "latest, a time, or offsets"
        )
    return found


def outcome_point(text: str) -> Point:
    """Where the outcomes begin, for argparse: their timestamps are the articles' own, so that no
    time says where one stands.

    Raises:
        argparse.ArgumentTypeError: it is neither the beginning nor offsets.
    """
    found = point(text)
    if found.offsets or found.named is Named.EARLIEST:
        return found
    raise argparse.ArgumentTypeError(
        f'"{text}" is no place in the outcomes; write earliest, or offsets of the output and of '
        "the dead letters as TOPIC:PARTITION:OFFSET,..."
    )


def point(text: str) -> Point:
    """What the text means, for argparse.

    Raises:
        argparse.ArgumentTypeError: it means nothing.
    """
    if text in list(Named):
        return Point(named=Named(text))
    found = [_OFFSET.fullmatch(one.strip()) for one in text.split(",")]
    if any(found):
        offsets: dict[TopicPartition, int] = {}
        for one, match in zip(text.split(","), found, strict=True):
            if match is None:
                raise argparse.ArgumentTypeError(
                    f'"{one.strip()}" is no offset; write TOPIC:PARTITION:OFFSET, with commas '
                    "between several"
                )
            partition = TopicPartition(match[1], int(match[2]))
            if partition in offsets:
                raise argparse.ArgumentTypeError(f"{match[1]}:{match[2]} is there twice")
            offsets[partition] = int(match[3])
        return Point(offsets=offsets)
    try:
        return Point(time_ms=moment(text))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f'"{text}" is no point; write {", ".join(Named)}, offsets as '
            f"TOPIC:PARTITION:OFFSET,... or a time: {FORMS}"
        ) from None
