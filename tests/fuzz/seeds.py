"""What a fuzzer starts from: messages that our own generators make, of every kind."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Any

import fastavro

from consumer.codec.registry.framing import prefix
from consumer.contracts.headers import ERRORS, REPLAY_MARK, SOURCE
from tests.codec.registry.protobuf_files import ARTICLE, compiled, message_class
from tests.faults.messages.mutations import message
from tests.faults.messages.valid_articles import HARD_TEXTS, article, sentence, spelled
from tests.fuzz.pieces import piece
from tests.fuzz.schemas import AVRO_SCHEMAS, JSON_SCHEMAS
from tests.fuzz.targets import PATHS
from tests.support.planted import WITH_NUL

#: Largest seed in bytes: what is larger slows every input that is made of it.
_MOST_BYTES = 4_096

_HTML = (
    "<p>Anna <b>Petrova</b> of <i>Nord&shy;bank</i> &amp; Co.</p><br>in Lisbon&nbsp;&#x2014;",
    "<script>if (a < b) '</script>'</script><style>p {}</style><!-- x --><![CDATA[y]]>z",
    "<ul><li>1<li>2</ul><table><tr><td>a<td>b</table><pre>\n  x</pre><textarea><p></textarea>",
    "&#0;&#xD800;&#1114112;&notin;&notit;&ampx;&lt&gt;&#38;amp;&&;&#;&#x;",
    "<a href='x>y' title=\"z>\">k</a><br/ ><!DOCTYPE html><?php ?></p ><p/>< p><1>",
    "<svg><title>t</title></svg><noscript>n</noscript><plaintext>rest</p>",
)

_CONLL = (
    "-DOCSTART- -X- O O\n\nAna NNP B-NP B-PER\nin IN O O\nOslo NNP B-NP I-LOC\n\n",
    "a\tB-PER\nb c\tI-PER\n\nd\tS-LOC\ne\tU-ORG\nf\tL-MISC\n",
    "word\n\nx O O\ny O\nz X-PER\n",
)

_EXPRESSIONS = (
    *PATHS,
    "a.b[0].c",
    "a[?b > `1` && !c]",
    "sort_by(a, &b)[0]",
    '"quoted name".x',
    "/a/b~1c/0",
    "@",
    "[[[[[[a]]]]]]",
    "a[*].{x: y}",
    "merge(@, {a: b})",
    "`[1, 2]`",
    "'text'",
)


def _messages(seed: int, count: int) -> list[bytes]:
    found = [message(seed, number).value for number in range(count)]
    return [value for value in found if value is not None and len(value) <= _MOST_BYTES]


def _json(rng: Random) -> list[bytes]:
    texts = [{"id": "h", "body": text} for text in (*HARD_TEXTS.values(), WITH_NUL)]
    return [*_messages(1, 150), *(spelled(rng, text) for text in texts)]


def _json_paths(rng: Random) -> list[bytes]:
    documents: list[Any] = [
        {
            "id": number,
            "meta": {"id": "m", "a": [sentence(rng, 3)]},
            "headlines": [{"value": sentence(rng, 4)}, {"value": None}, 3],
            "bodies": [{"contenttype": "text/plain", "value": sentence(rng, 9)}],
            "sections": [{"paragraphs": [[{"text": "x"}], {"text": sentence(rng, 2)}]}],
            "parts": [{"kind": "p1", "text": "two", "more": ["a", "b", "c", "d"]}],
            "items": [{"name": "n", "title": "t"}],
        }
        for number in range(5)
    ]
    return [*map(_dumped, documents), *_messages(2, 60)]


def _json_html(rng: Random) -> list[bytes]:
    return [_dumped({"id": "a", "body": text, "title": sentence(rng, 2)}) for text in _HTML]


def _html(_rng: Random) -> list[bytes]:
    return [text.encode() for text in (*_HTML, *HARD_TEXTS.values())]


def _avro(rng: Random) -> list[bytes]:
    flat, rich = (fastavro.parse_schema(json.loads(text)) for text in AVRO_SCHEMAS)
    found = []
    for _ in range(10):
        record = {"id": "1", "title": rng.choice((None, "t")), "body": sentence(rng, 5)}
        found.append(b"\x00" + _avro_bytes(flat, record))
    inner: Any = None
    for number in range(4):
        inner = {
            "id": rng.choice((number, "text")),
            "body": sentence(rng, 4),
            "at": 1_000 * number,
            "day": number,
            "uuid": "123e4567-e89b-12d3-a456-426614174000",
            "price": Decimal("1.25"),
            "digest": b"abcd",
            "desk": "A",
            "tags": [None, "x", 1.5],
            "more": {"k": 0.5},
            "next": inner,
        }
        found.append(b"\x01" + _avro_bytes(rich, inner))
    return [*found, b"\xff" + prefix(1) + b"\x02a", b"\xff{}"]


def _avro_bytes(schema: Any, record: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, record)
    return stream.getvalue()


def _protobuf(rng: Random) -> list[bytes]:
    made = message_class(compiled(ARTICLE), "news.Article")
    found = []
    for number in range(8):
        one: Any = made(id=str(number), title="t", body=sentence(rng, 4), big=number)
        one.numbers.extend(range(number))
        one.others["k"].x = "v"
        found.append(b"\x01\x02\x02" + one.SerializeToString())
    return [*found, b"\x00\x00\x0a\x01a\x1a\x01b", b"\x01\x00\x0a\x01x", b"\xff" + prefix(2)]


def _json_schema(rng: Random) -> list[bytes]:
    return [bytes([number % 2]) + spelled(rng, article(rng, number)) for number in range(30)]


def _schema_text(_rng: Random) -> list[bytes]:
    return [
        *(b"\x00" + s.encode() for s in AVRO_SCHEMAS),
        *(b"\x01" + s.encode() for s in JSON_SCHEMAS),
    ]


def _path(_rng: Random) -> list[bytes]:
    return [text.encode() for text in _EXPRESSIONS]


def _path_and_document(rng: Random) -> list[bytes]:
    documents = _json_paths(rng)
    return [text.encode() + b"\n" + rng.choice(documents) for text in _EXPRESSIONS]


def _kafka_parts(rng: Random) -> list[bytes]:
    places = (b"articles/0/7", b"a/b/1/2", b"/0/0", b"x/-1/9999999999999999999999", None)
    found = []
    for place in places:
        headers = [(SOURCE, place), (f"{ERRORS}code", b"no_text"), (f"{ERRORS}topic", b"t")]
        headers += [(f"{ERRORS}partition", b"1"), (f"{ERRORS}offset", b"12")]
        headers += [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
        rng.shuffle(headers)
        found.append(_parts(b"key", b"{", headers))
    told = {"cluster": "c", "topic": "dead", "partition": 0, "to": "t", "sent": [[0, 3], [5, 6]]}
    return [*found, _parts(None, _dumped(told), [(REPLAY_MARK, b"1")])]


def _parts(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> bytes:
    told = b"".join(piece(name.encode()) + piece(found) for name, found in headers)
    return piece(key) + piece(value) + bytes([len(headers)]) + told


def _comparison(rng: Random) -> list[bytes]:
    return [
        spelled(rng, article(rng, n)) + b"\n\n" + spelled(rng, article(rng, n)) for n in range(20)
    ]


def _conll(_rng: Random) -> list[bytes]:
    return [text.encode() for text in _CONLL]


def _tag_input(rng: Random) -> list[bytes]:
    texts = ["\ufeffa\r\nb\n\n  \nc".encode(), b"\xff\xfe\n", b'{"id":1,\n"body":"x"}\n']
    return [*texts, *(spelled(rng, article(rng, number)) + b"\n" for number in range(10))]


def _shown(_rng: Random) -> list[bytes]:
    return [WITH_NUL.encode(), *(text.encode() for text in HARD_TEXTS.values())]


def _dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


_SEEDS: Mapping[str, Callable[[Random], list[bytes]]] = MappingProxyType(
    {
        "json": _json,
        "json_paths": _json_paths,
        "json_html": _json_html,
        "avro": _avro,
        "protobuf": _protobuf,
        "json_schema": _json_schema,
        "schema_text": _schema_text,
        "html": _html,
        "path": _path,
        "path_and_document": _path_and_document,
        "kafka_parts": _kafka_parts,
        "comparison": _comparison,
        "conll": _conll,
        "tag_input": _tag_input,
        "shown": _shown,
    }
)


def seeds_of(target: str) -> list[bytes]:
    """The seeds of a target; always the same."""
    return _SEEDS[target](Random(f"seeds of {target}"))
