from __future__ import annotations

import json

from consumer.commands.doctor.sampling import sampled
from consumer.contracts.messages import Position, RawMessage, TopicPartition
from consumer.settings.schema import Settings


def raw(value: bytes | None, key: bytes | None = b"k", *, bad_header: bool = False) -> RawMessage:
    at = Position(TopicPartition("in", 0), 0)
    return RawMessage(at, key, value, (), 0, 0, bad_header)


GOOD = json.dumps({"id": "1", "title": "Ada"}).encode()


def test_messages_are_judged_as_the_worker_judges_them() -> None:
    messages = [
        raw(GOOD),
        raw(GOOD, None),
        raw(None),
        raw(b"{"),
        raw(b"["),
        raw(b'{"id": "1"}'),
        raw(GOOD, bad_header=True),
    ]
    facts, articles = sampled(Settings(), messages)
    assert [one.fields[0].text for one in articles] == ["Ada", "Ada"]
    assert facts.messages == 7
    assert facts.passed == 1
    assert facts.rejected == {"invalid_json": 2, "no_text": 1, "invalid_header": 1}
    assert set(facts.examples) == set(facts.rejected)
    assert facts.without_key == 1
    assert facts.largest_bytes == len(GOOD) + 1


def test_an_empty_sample() -> None:
    facts, articles = sampled(Settings(), [])
    assert (facts.messages, facts.largest_bytes, articles) == (0, 0, [])
