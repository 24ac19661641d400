"""The headers that nerstream adds to what it writes, by name, and the one that names an input.

All begin with `__nerstream.`; an input's own of these names are replaced, as `entities` and
`tagging` are in its value. But for the count of attempts, which is carried.
"""

from __future__ import annotations

from functools import lru_cache

from consumer.contracts.messages import Headers, Position, TopicPartition

#: Names the input of an output: `topic/partition/offset`, in ASCII. Kafka lets no `/` into the name
#: of a topic. In a chain of workers it names the input of the last one.
SOURCE = "__nerstream.source"

#: Prefix of the headers of a dead letter that say why, after the manner of Kafka Connect and
#: KIP-1034.
ERRORS = "__nerstream.errors."

#: How often a message was sent back after a rejection, in decimal digits. The worker carries it as
#: it does every header, so that a message that is rejected again still has it.
REPLAY_ATTEMPTS = "__nerstream.replay.attempts"

#: Tells a mark from a dead letter. A mark is a record in the dead-letter topic that says which dead
#: letters of its partition were sent; the value of the header is the version of its format.
REPLAY_MARK = "__nerstream.replay.mark"

#: Digits that an offset has at most: it is a signed number of 64 bits.
_DIGITS = 19


def with_source(headers: Headers, position: Position) -> list[tuple[str, bytes | None]]:
    """Headers of an output and, last, the one that names its input."""
    partition, offset = position
    named = (SOURCE, b"%b%d" % (_prefix(partition), offset))
    return [*without_source(headers), named] if headers else [named]


def without_source(headers: Headers) -> Headers:
    """Headers but for the one that names an input."""
    for name, _ in headers:
        if name == SOURCE:
            return tuple(header for header in headers if header[0] != SOURCE)
    return headers


def source_in(headers: Headers) -> Position | None:
    """The input that the last header of that name names; None where there is none, or no such."""
    for name, value in reversed(headers):
        if name == SOURCE:
            return _position(value)
    return None


def told_origin(headers: Headers) -> Position | None:
    """Where a dead letter says that its input stands, in the headers that say why."""
    told = dict(headers)
    topic, partition, offset = (
        told.get(ERRORS + name) or b"" for name in ("topic", "partition", "offset")
    )
    return _position(b"/".join((topic, partition, offset)))


def told_number(value: bytes | None) -> int | None:
    """The whole number that a header holds, in decimal digits, as Kafka has them: of 64 bits or
    hardly more. None where it holds none; another program may have written anything there."""
    value = value or b""
    digits = value.removeprefix(b"-")
    return int(value) if digits.isdigit() and len(digits) <= _DIGITS else None


def replay_attempts(headers: Headers) -> int:
    """How often a message was sent back, by the last header that says so; 0 where none does."""
    return max(told_number(dict(headers).get(REPLAY_ATTEMPTS)) or 0, 0)


def is_replay_mark(headers: Headers) -> bool:
    """Whether these are the headers of a mark: it has this one alone.

    A dead letter has others, even one whose original came with a header of this name.
    """
    return len(headers) == 1 and headers[0][0] == REPLAY_MARK


# There is one of these a message; to write out the partition takes longer than to find it again.
@lru_cache(4_096)
def _prefix(partition: TopicPartition) -> bytes:
    return f"{partition.topic}/{partition.partition}/".encode()


def _position(value: bytes | None) -> Position | None:
    topic, *numbers = (value or b"").rsplit(b"/", 2)
    if len(numbers) != 2 or not topic or not topic.isascii():
        return None
    if not all(number.isdigit() and len(number) <= _DIGITS for number in numbers):
        return None
    partition, offset = map(int, numbers)
    return Position(TopicPartition(topic.decode(), partition), offset)
