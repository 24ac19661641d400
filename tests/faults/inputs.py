"""What is fed to the workers in a fault run, and what must come of each message.

Message `n` is made from its number alone: its bytes, its partition, and its one right outcome.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from consumer.contracts.messages import Entity, TextField
from tests.faults.light_tagger import NOT_A_NUMBER, entities_of
from tests.integration.helpers import Record

PARTITIONS = 6

#: Header that carries the number through the worker.
NUMBER = "n"

#: One message in so many is a null value, and one is poison of some kind.
_TOMBSTONE_EVERY = 97
_POISON_EVERY = 41

#: One article in so many repeats its sentence so often, that a small topic limit refuses it.
_LONG_EVERY = 997
_LONG = 60

#: Milliseconds since the epoch of message 0; the others follow, one a millisecond.
_BEGAN_MS = 1_750_000_000_000

#: A limit of bytes that the long ones exceed once enriched, and no other does.
LONG_BYTES = 3_000

_POISON: tuple[tuple[str, bytes], ...] = (
    ("invalid_json", b'{"id": "x", "body": '),
    ("invalid_utf8", b'{"id": "x", "body": "\xff\xfe"}'),
    ("not_an_object", b'["Ada"]'),
    ("missing_id", b'{"body": "Ada"}'),
    ("wrong_type", b'{"id": "x", "body": 7}'),
    ("no_text", b'{"id": "x", "body": ""}'),
    ("invalid_json", b'{"id": "x", "body": "Ada", "share": NaN}'),
    ("not_a_number", b'{"id": "x", "body": "Ada %s"}' % NOT_A_NUMBER.encode()),
)

_NAMES = ("Ada Byron", "Zoltan", "Halden Robotics", "Nairobi", "Océan Trust", "東京", "Łódź")


@dataclass(frozen=True, slots=True)
class Expected:
    """The one right outcome of a message.

    Attributes:
        rejected: the code of its dead letter; None where it is enriched or passes through.
        entities: of the enriched article; None where there is no such.
    """

    rejected: str | None
    entities: tuple[Entity, ...] | None


def record(number: int) -> Record:
    """Message `number`. Without a key, so that its partition is the one of its outcome too."""
    value, _ = _content(number)
    return Record(
        value=value,
        headers=((NUMBER, str(number).encode()), ("traceparent", b"00-%032d-01" % number)),
        timestamp_ms=_BEGAN_MS + number,
        partition=number % PARTITIONS,
    )


def expected(number: int) -> Expected:
    """What must come of message `number`."""
    return _content(number)[1]


def is_long(number: int) -> bool:
    """Whether message `number` is one of the long articles."""
    value, right = _content(number)
    return right.entities is not None and value is not None and number % _LONG_EVERY == 0


def _content(number: int) -> tuple[bytes | None, Expected]:
    if number % _TOMBSTONE_EVERY == _TOMBSTONE_EVERY - 1:
        return None, Expected(None, None)
    if number % _POISON_EVERY == _POISON_EVERY - 1:
        code, value = _POISON[number // _POISON_EVERY % len(_POISON)]
        return value, Expected(code, None)
    name, other = _NAMES[number % len(_NAMES)], _NAMES[number // 7 % len(_NAMES)]
    times = _LONG if number % _LONG_EVERY == 0 else 1 + number % 4
    title, body = f"{name} 🎉 in {number}", f"{other} met {name}; it was quiet. " * times
    value = json.dumps({"id": str(number), "title": title, "body": body, "n": number}).encode()
    fields = (TextField("title", title), TextField("body", body))
    return value, Expected(None, entities_of(fields))
