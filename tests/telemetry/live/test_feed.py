"""The latest articles and rejected messages."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    Position,
    RawMessage,
    Rejected,
    TaggedArticle,
    TextField,
    TopicPartition,
)
from consumer.telemetry.live.feed import CHARACTERS, FIELDS, KEPT, Feed

MODEL = ModelInfo("m", "r", "cpu", "float32", ("PER",))


def raw(offset: int, value: bytes | None = b"{}") -> RawMessage:
    return RawMessage(Position(TopicPartition("in", 2), offset), None, value, (), 90_000, 1)


def article(offset: int, **texts: str) -> TaggedArticle:
    fields = tuple(TextField(name, text) for name, text in texts.items())
    entities = tuple(Entity(name, "PER", text[:3], 0, 3, 0.9) for name, text in texts.items())
    return TaggedArticle(Article(raw(offset), f"id-{offset}", fields), entities, 5, MODEL)


def rejected(offset: int, value: bytes | None = b"{}") -> Rejected:
    return Rejected(raw(offset, value), RejectCode.MISSING_ID, "no id", RejectStage.PREPARE)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(feed: Feed, number: int = 0) -> dict[str, list[dict[str, Any]]]:
    answer: dict[str, list[dict[str, Any]]] = orjson.loads(orjson.dumps(feed.after(number)))
    return answer


def test_an_article_a_second_and_those_after_a_number() -> None:
    clock = Clock()
    feed = Feed(clock, clock)
    for offset in range(5):
        feed.note(article(offset, title="Ana"))
    clock.now += 1
    feed.note(article(7, title="Ana Lima", body="Ana again"))
    feed.note(rejected(8))
    answer = shown(feed)
    assert [one["place"] for one in answer["articles"]] == ["in/2/0", "in/2/7"]
    last = answer["articles"][-1]
    assert last["late"] == 11.0
    assert last["id"] == ["id-7"]
    assert last["entities"] == 2
    assert last["fields"][0] == {
        "name": "title",
        "text": [{"e": "PER", "c": "cyan", "s": ["Ana"]}, " Lima"],
        "cut": False,
    }
    (letter,) = answer["rejected"]
    assert (letter["code"], letter["stage"], letter["reason"]) == (
        "missing_id",
        "prepare",
        ["no id"],
    )
    assert shown(feed, number=last["n"]) == {"articles": [], "rejected": [letter]}
    assert shown(feed, number=letter["n"]) == {"articles": [], "rejected": []}


def test_what_is_kept_is_bounded_whatever_comes() -> None:
    clock = Clock()
    feed = Feed(clock, clock)
    for offset in range(3 * KEPT):
        clock.now += 2
        feed.note(article(offset, **{f"f{number}": "Ana" + "x" * 100_000 for number in range(9)}))
        feed.note(rejected(offset, b"\xff" * 100_000))
    answer = shown(feed)
    assert len(answer["articles"]) == len(answer["rejected"]) == KEPT
    last = answer["articles"][-1]
    assert len(last["fields"]) == FIELDS
    assert last["more_fields"] == 9 - FIELDS
    assert all(field["cut"] for field in last["fields"])
    assert len(orjson.dumps(last)) < 3 * CHARACTERS + 1_000
    assert answer["rejected"][-1]["bytes"] == 100_000
    assert len(orjson.dumps(answer["rejected"][-1])) < 2_000


def test_a_message_without_a_value_and_one_that_is_not_utf8() -> None:
    clock = Clock()
    feed = Feed(clock, clock)
    feed.note(rejected(1, None))
    clock.now += 1
    feed.note(rejected(2, b'{"id": "\xff"}'))
    empty, broken = shown(feed)["rejected"]
    assert (empty["value"], empty["bytes"]) == ([], 0)
    assert broken["value"] == ['{"id": "\\xff"}']


def test_an_article_that_cannot_be_shown_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no such place")

    feed = Feed()
    monkeypatch.setattr("consumer.telemetry.live.feed.excerpt", broken)
    feed.note(article(1, title="Ana"))
    assert shown(feed)["articles"] == []
