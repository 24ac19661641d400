"""Bad and odd messages, made from valid articles by seeded mutation.

`message(seed, number)` is the same for ever, whatever was asked for before; so a checker makes
an input anew instead of keeping it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from tests.faults.feeding.traffic import NUMBER_HEADER
from tests.faults.messages.document_mutations import DOCUMENT_MUTATIONS
from tests.faults.messages.large_articles import large_article
from tests.faults.messages.valid_articles import article, spelled
from tests.integration.rigs.helpers import Headers, Record

#: Share of the messages that are left as valid articles.
UNMUTATED_SHARE = 0.25

#: One message of so many is large: ten megabytes and more.
LARGE_PERIOD = 2_000

#: Sequences of bytes that UTF-8 forbids.
_NOT_UTF8 = (
    *(b"\xff", b"\xfe", b"\x80", b"\xc0\x80", b"\xed\xa0\xbd", b"\xf8\x88\x80\x80\x80"),
    *(b"\xe2\x82", b"\xf4\x90\x80\x80", b"\xc3", b"\xf0\x9f\x91"),
)

_INSERTS = (
    *(b"\x00", b"\n", b"\t", b"\x1f", b"\x7f", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":"),
    *(b"NaN", b"null", b"//", b"\\u", b"\\ud83d", b"e9", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"-"),
)

#: Milliseconds since the epoch at the ends of what Kafka takes; None is now. Nought is left out,
#: since librdkafka means now by it.
_TIMESTAMPS_MS = (
    *(1, -1, -5, -(2**62), 951_782_399_999, 4_102_444_800_000, 253_402_300_800_000),
    *(2**62, 2**63 - 1),
)


def message(seed: int, number: int) -> Record:
    """The message of this number in the run of this seed, without a partition."""
    rng = Random(f"{seed}:{number}")
    kind = _kind(rng, number)
    return Record(
        value=MUTATIONS[kind](rng, number),
        key=_key(rng),
        headers=_headers(rng, number),
        timestamp_ms=rng.choice(_TIMESTAMPS_MS) if rng.random() < 0.1 else None,
    )


def kind_of(seed: int, number: int) -> str:
    """Which of `MUTATIONS` made the value of this message."""
    return _kind(Random(f"{seed}:{number}"), number)


def _kind(rng: Random, number: int) -> str:
    if number % LARGE_PERIOD == LARGE_PERIOD // 4:
        return "large"
    if rng.random() < UNMUTATED_SHARE:
        return "unmutated"
    return rng.choice(_MUTATED_KINDS)


def _unmutated(rng: Random, number: int) -> bytes:
    return spelled(rng, article(rng, number))


def _of_bytes(
    mutate: Callable[[Random, bytearray], None],
) -> Callable[[Random, int], bytes]:
    def made(rng: Random, number: int) -> bytes:
        value = bytearray(_unmutated(rng, number))
        mutate(rng, value)
        return bytes(value)

    return made


def _flip_bits(rng: Random, value: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 1, 2, 5, 50))):
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)


def _truncate(rng: Random, value: bytearray) -> None:
    del value[rng.randrange(len(value)) :]


def _insert(rng: Random, value: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 1, 3))):
        at = rng.randrange(len(value) + 1)
        value[at:at] = rng.choice((rng.choice(_INSERTS), rng.randbytes(rng.randint(1, 20))))


def _delete_span(rng: Random, value: bytearray) -> None:
    first = rng.randrange(len(value))
    del value[first : first + rng.choice((1, 2, 10, 100))]


def _duplicate_span(rng: Random, value: bytearray) -> None:
    first = rng.randrange(len(value))
    span = value[first : first + rng.choice((1, 2, 10, 100, 10_000))]
    value[first:first] = span * rng.choice((1, 1, 2, 50))


def _swap_spans(rng: Random, value: bytearray) -> None:
    middle = rng.randrange(len(value))
    value[:] = value[middle:] + value[:middle]


def _invalid_utf8(rng: Random, value: bytearray) -> None:
    at = rng.randrange(len(value) + 1)
    value[at:at] = rng.choice(_NOT_UTF8)


def _other_encoding(rng: Random, value: bytearray) -> None:
    encoding = rng.choice(("utf-16", "utf-16-be", "utf-32", "latin-1", "cp1251", "utf-8-sig"))
    value[:] = value.decode().encode(encoding, "replace")


def _in_front(rng: Random, value: bytearray) -> None:
    value[:0] = rng.choice((b"\xef\xbb\xbf", b"\x00\x00\x00\x00\x07", b")]}',\n", b"\x1e", b"{}"))


def _behind(rng: Random, value: bytearray) -> None:
    value += rng.choice((b"\x00", b"}", b",", b"{}", b"\n" + value, b" null", b"\xef\xbb\xbf"))


def _no_article(rng: Random, number: int) -> bytes:
    return rng.choice(
        (
            *(b"", b" ", b"\r\n\t ", b"null", b"true", b"0", b"-", b'""', b'"', b"[]", b"{}", b"{"),
            *(b"headline", b"<article id='7'/>", b"id,title\n7,x", b"[" * 200, b'{"a":' * 5_000),
            *(b"\x1f\x8b\x08\x00\x00", b"PK\x03\x04", rng.randbytes(rng.randint(1, 300))),
            *(f'"{number}"'.encode(), str(number).encode(), b"\x00" * 1_000, b"\\", b"'"),
        )
    )


def _large(_rng: Random, number: int) -> bytes:
    return large_article(number // LARGE_PERIOD, number)


def _tombstone(_rng: Random, _number: int) -> None:
    return None


#: How values are made, by name: each from a random source and the number of the message.
MUTATIONS: Mapping[str, Callable[[Random, int], bytes | None]] = MappingProxyType(
    {
        "unmutated": _unmutated,
        "tombstone": _tombstone,
        "no_article": _no_article,
        "flip_bits": _of_bytes(_flip_bits),
        "truncate": _of_bytes(_truncate),
        "insert": _of_bytes(_insert),
        "delete_span": _of_bytes(_delete_span),
        "duplicate_span": _of_bytes(_duplicate_span),
        "swap_spans": _of_bytes(_swap_spans),
        "invalid_utf8": _of_bytes(_invalid_utf8),
        "other_encoding": _of_bytes(_other_encoding),
        "in_front": _of_bytes(_in_front),
        "behind": _of_bytes(_behind),
        "large": _large,
        **DOCUMENT_MUTATIONS,
    }
)

_MUTATED_KINDS = tuple(kind for kind in MUTATIONS if kind not in ("unmutated", "large"))


def _key(rng: Random) -> bytes | None:
    return rng.choice(
        (
            *(None, None, None, b"", b"\x00", b"\xff\xfe\x00", b"k" * 3_000),
            *(b"key-%d" % rng.randrange(50), rng.randbytes(rng.randint(1, 40)), "clé".encode()),
        )
    )


def _headers(rng: Random, number: int) -> Headers:
    odd: Headers = (
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("null", None),
        ("empty", b""),
        ("", b"without a name"),
        ("repeated", b"1"),
        ("repeated", b"2"),
        ("binary", rng.randbytes(8)),
        ("émoji 👋", "é".encode()),
        ("n" * 300, b"v" * 3_000),
        ("__nerstream.source", b"articles/0/1"),
        ("__nerstream.errors.code", b"invalid_json"),
        ("__nerstream.errors.offset", b"-1"),
        ("__nerstream.errors.partition", b"no number"),
        ("__nerstream.errors.", None),
        ("__nerstream.other", b"x"),
    )
    chosen = [] if rng.random() < 0.5 else rng.choices(odd, k=rng.randint(1, 6))
    chosen.insert(rng.randint(0, len(chosen)), (NUMBER_HEADER, str(number).encode()))
    return tuple(chosen)
