"""What is fed to the workers in a fault run, and what must come of each message.

Message `n` is made from its number and the seed of the run alone: its bytes, and its one right
outcome. The seed moves sizes, and which messages are poison, null or long.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from zlib import crc32

from consumer.contracts.messages import Entity, TextField
from tests.faults.workers.light_tagger import NOT_A_NUMBER, entities_of
from tests.integration.rigs.helpers import Record

PARTITIONS = 6

#: By so many messages each seed moves which ones are poison, null or long.
_MOVED = 1_009

#: Sentences of an article at most; the seed decides.
_SENTENCES = (4, 2, 5, 3)

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


def mixed(number: int, seed: int) -> int:
    """A number without order, the same each time it is asked for."""
    return crc32(b"%d/%d" % (seed, number))


def record(number: int, seed: int = 0) -> Record:
    """Message `number`, without a key and a partition, which its feed gives it."""
    value, _ = _content(number, seed)
    return Record(
        value=value,
        headers=((NUMBER, str(number).encode()), ("traceparent", b"00-%032d-01" % number)),
        timestamp_ms=_BEGAN_MS + number,
    )


def expected(number: int, seed: int = 0) -> Expected:
    """What must come of message `number`."""
    return _content(number, seed)[1]


def is_long(number: int, seed: int = 0) -> bool:
    """Whether message `number` is one of the long articles."""
    value, right = _content(number, seed)
    return right.entities is not None and value is not None and _is_long(number, seed)


def _is_long(number: int, seed: int) -> bool:
    return (number + _MOVED * seed) % _LONG_EVERY == 0


def _content(number: int, seed: int) -> tuple[bytes | None, Expected]:
    kind = number + _MOVED * seed
    if kind % _TOMBSTONE_EVERY == _TOMBSTONE_EVERY - 1:
        return None, Expected(None, None)
    if kind % _POISON_EVERY == _POISON_EVERY - 1:
        code, value = _POISON[kind // _POISON_EVERY % len(_POISON)]
        return value, Expected(code, None)
    name, other = _NAMES[kind % len(_NAMES)], _NAMES[kind // 7 % len(_NAMES)]
    most = _SENTENCES[seed % len(_SENTENCES)]
    times = _LONG if _is_long(number, seed) else 1 + mixed(number, seed) % most
    title, body = f"{name} 🎉 in {number}", f"{other} met {name}; it was quiet. " * times
    value = json.dumps({"id": str(number), "title": title, "body": body, "n": number}).encode()
    fields = (TextField("title", title), TextField("body", body))
    return value, Expected(None, entities_of(fields))
