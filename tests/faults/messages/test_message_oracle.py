"""The oracle of the fuzz run agrees with the examples, and sees what is wrong with a message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.messages.large_articles import OUTPUT_LIMIT_BYTES
from tests.faults.messages.message_oracle import SCHEMAS, expected, faults_of_enriched
from tests.faults.workers import light_tagger

EXAMPLES = SCHEMAS / "examples"
REJECTED: list[dict[str, str]] = json.loads((EXAMPLES / "rejected.json").read_text())
VALUE = b'{"id":"7","n":1.0,"body":"Oslo \xf0\x9f\x91\x8b Lima"}'


def outcomes(value: bytes | None) -> set[str]:
    return set(expected(value, OUTPUT_LIMIT_BYTES).outcomes)


def enriched(**changes: Any) -> bytes:
    """What must become of VALUE, with these members changed."""
    document: dict[str, Any] = {
        **json.loads(VALUE),
        "entities": [entity("Oslo", 0, 4), entity("Lima", 7, 11)],
        "tagging": {
            "model": light_tagger.INFO.name,
            "revision": "1",
            "version": "0.1.0",
            "tagged_at": "2026-11-24T06:40:02.318Z",
        },
    }
    return json.dumps({**document, **changes}).encode()


def entity(text: str, start: int, end: int) -> dict[str, Any]:
    return {
        "field": "body",
        "type": "NAME",
        "text": text,
        "start": start,
        "end": end,
        "score": 1.0,
    }


@pytest.mark.parametrize("example", REJECTED, ids=[example["why"] for example in REJECTED])
def test_it_gives_the_code_of_each_example(example: dict[str, str]) -> None:
    value = example.get("value")
    raw = bytes.fromhex(example["value_hex"]) if value is None else value.encode()
    found = outcomes(raw)
    assert example["code"] in found
    # Only broken text that is full of brackets is left undecided.
    assert len(found) == 1 or found == {"invalid_json", "nested_too_deep"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("article_*.json")), ids=lambda one: one.name)
def test_the_articles_of_the_examples_are_enriched(path: Any) -> None:
    assert outcomes(path.read_bytes()) == {"enriched"}


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (None, "tombstone"),
        (b'{"id":"7","body":"notanumber"}', "not_a_number"),
        (b'{"id":"7","body":"x","a":["\\ud83d"],"a":1}', "invalid_json"),
        (b'{"id":"7","body":"x","\\ud83d":1}', "invalid_json"),
        (b'{"id":"7","body":"x","n":' + b"9" * 400 + b"}", "invalid_json"),
        (b'{"id":"7","body":"x","n":' + b"9" * 300 + b"}", "enriched"),
        (b'{"id":"7","body":"x","z":' + b"[" * 130 + b"]" * 130 + b',"z":1}', "enriched"),
        (b'{"id":"7","body":"' + b"x" * OUTPUT_LIMIT_BYTES + b'"}', "too_large"),
        (b'{"id":"7","body":"' + b"X" * (OUTPUT_LIMIT_BYTES // 2) + b'"}', "too_large"),
    ],
)
def test_it_decides_what_the_examples_leave_out(value: bytes | None, outcome: str) -> None:
    assert outcomes(value) == {outcome}


def test_it_finds_nothing_wrong_with_a_right_message() -> None:
    assert faults_of_enriched(VALUE, enriched()) == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (enriched(n=1), "fields changed: another one is not as it came in"),
        (enriched(more=1), "entities and tagging are not its last two fields"),
        (enriched(id="8"), "fields changed: another one is not as it came in"),
        (enriched(entities=[]), "entities changed: 0 are not the 2 that there are"),
        (
            enriched(entities=[entity("Oslo", 0, 5), entity("Lima", 7, 11)]),
            "entities changed: the surface of",
        ),
        (
            enriched(entities=[entity("Oslo", 0, 4), entity("Lima", 8, 12)]),
            "entities changed: the surface of",
        ),
        (enriched(entities=[{"text": "Oslo"}]), "is a required property"),
        (enriched(tagging={}), "is a required property"),
        (enriched().replace(b'"light"', b'"dark"'), "tagging names another model: dark"),
    ],
)
def test_it_sees_what_is_wrong_with_a_message(wrong: bytes, fault: str) -> None:
    assert fault in "; ".join(faults_of_enriched(VALUE, wrong))


def test_one_byte_order_mark_is_no_part_of_the_article() -> None:
    mark = "\ufeff".encode()
    assert outcomes(mark + VALUE) == {"enriched"}
    assert outcomes(mark + mark + VALUE) == {"invalid_json"}
    assert faults_of_enriched(mark + VALUE, enriched()) == []
    (fault,) = faults_of_enriched(VALUE, mark + enriched())
    assert "a byte order mark" in fault
