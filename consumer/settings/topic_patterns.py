"""Matches the entries of `input_topics`: a name stands for itself, a pattern for what it matches.

The worker applies a pattern, and the group hears of names only, so that a pattern means the same
under both group protocols. It is a regular expression of Python and matches whole names, as a
subscription to a pattern does in Apache Kafka's own client.
"""

from __future__ import annotations

import re

#: Marks an entry as a pattern, as in librdkafka.
_MARK = "^"

#: The beginning of the names of Kafka's own topics; a pattern matches them only if it begins so.
_INTERNAL = "__"

#: A comma that does not stand in a repetition such as `{1,2}`.
_COMMA = re.compile(r",(?![0-9]*\})")

#: A pattern without anything that could stand for more than one name.
_ONE_NAME = re.compile(r"\^(?:[A-Za-z0-9_-]|\\[.-]|\[[.-]\])*")

_POSIX_CLASS = re.compile(r"\[:[a-z]+:\]")


def is_pattern(entry: str) -> bool:
    """Whether an entry is a pattern."""
    return entry.startswith(_MARK)


def takes_in(entry: str, topic: str) -> bool:
    """Whether an entry, a name or a pattern, takes in this topic."""
    if not is_pattern(entry):
        return entry == topic
    if topic.startswith(_INTERNAL) and not entry.startswith(_MARK + _INTERNAL):
        return False
    return re.fullmatch(entry, topic) is not None


def begins_as(pattern: str, topic: str) -> bool:
    """Whether a pattern matches the beginning of a topic's name, but not the whole name."""
    return not takes_in(pattern, topic) and re.match(pattern, topic) is not None


def split(text: str) -> tuple[str, ...]:
    """Entries that are separated by commas."""
    return tuple(part.strip() for part in _COMMA.split(text) if part.strip())


def fault_of(pattern: str) -> tuple[str, str] | None:
    """What is wrong with a pattern, and what would be right; None where nothing is."""
    if _POSIX_CLASS.search(pattern):
        return f"{pattern} has a class of POSIX", "write [A-Za-z] for [[:alpha:]]"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as wrong:
        return (
            f"{pattern} is no pattern ({wrong})",
            "it must be a regular expression of Python's, such as ^news-.*",
        )
    if _ONE_NAME.fullmatch(pattern):
        return (
            f"{pattern} takes in one name at most, since a pattern is for whole names",
            f"write {pattern}.* for the topics that begin so, or the name without ^",
        )
    return None
