"""What a person and a program are told, and with which exit code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from consumer.audit.fate import Absence, Fate, Outcome, OutcomeKind
from consumer.commands.find.report import as_json, as_text, exit_code
from consumer.contracts.messages import Position, TopicPartition
from consumer.contracts.traces import TraceParent, with_traceparent
from tests.support.memory.audited import given

AT = Position(TopicPartition("news", 0), 7)
OUT = Position(TopicPartition("out", 2), 41)
PARENT = TraceParent("ab" * 16, "cd" * 8, True)
TIME_MS = 1_700_000_000_000


def fate(*outcomes: Outcome, committed: int | None = 8, may_be_gone: bool = False) -> Fate:
    headers = with_traceparent((), PARENT)
    raw = given(7, key=b"k\x1b[2J", headers=headers, timestamp_ms=TIME_MS)
    made = Fate(AT, raw, id="7", committed=committed, may_be_gone=may_be_gone)
    made.outcomes += outcomes
    return made


ENRICHED = Outcome(
    OutcomeKind.ENRICHED,
    OUT,
    TIME_MS + 2_345,
    PARENT.trace_id,
    {"model": "m", "revision": "r", "version": "1.0", "tagged_at": "2023"},
)
LETTER = Outcome(
    OutcomeKind.DEAD_LETTER,
    OUT,
    None,
    None,
    code="no_text",
    stage="prepare",
    reason="there is \x1b[31mno text",
    attempts=1,
    sent_to=("news",),
)


def text(one: Fate) -> list[str]:
    return list(as_text(one, "taggers", "out", "dead"))


def test_an_enriched_article() -> None:
    assert text(fate(ENRICHED)) == [
        "input      news/0/7, 35 bytes",
        "id         7",
        "key        k\\x1b[2J",
        "time       2023-11-14T22:13:20.000Z, its producer's",
        "outcome    enriched: out/2/41",
        "model      m r",
        "made       2023-11-14T22:13:22.345Z, 2.345 s after its time",
        f"trace      {PARENT.trace_id}",
    ]


def test_a_dead_letter() -> None:
    lines = text(fate(LETTER))
    assert lines[4:8] == [
        "outcome    dead letter out/2/41: no_text (prepare)",
        "reason     there is \x1b[31mno text",
        "attempts   1",
        "sent to    news",
    ]


def test_what_no_model_read_says_why() -> None:
    skipped = Outcome(OutcomeKind.UNTAGGED, OUT, None, None, {"skipped": "language"})
    assert "outcome    untagged (language): out/2/41" in text(fate(skipped))


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (fate(committed=3), "not yet: the group taggers has committed 3, 5 behind"),
        (fate(committed=None), "not yet: the group taggers has committed nothing in this"),
        (fate(), "none, although the group taggers has committed 8: it is lost, or"),
        (fate(may_be_gone=True), "none is found; the group taggers has committed 8, so it may"),
    ],
)
def test_one_without_an_outcome(one: Fate, said: str) -> None:
    assert f"outcome    {said}" in "\n".join(text(one))


@pytest.mark.parametrize("absence", list(Absence))
def test_one_that_is_not_there(absence: Absence) -> None:
    lines = text(Fate(AT, absence=absence, committed=3))
    assert lines[0].startswith("input      news/0/7: no message stands there: ")
    assert lines[1:] == ["outcome    none"]


@pytest.mark.parametrize(
    ("fates", "code"),
    [
        ([fate(ENRICHED), fate(LETTER)], 0),
        ([fate(ENRICHED), fate(committed=3)], 3),
        ([fate(committed=3), fate()], 1),
        ([fate(may_be_gone=True)], 1),
        ([Fate(AT, absence=Absence.TO_COME)], 1),
        ([], 1),
    ],
)
def test_the_exit_code(fates: Sequence[Fate], code: int) -> None:
    assert exit_code(fates) == code


def test_the_same_for_a_program() -> None:
    assert as_json(fate(ENRICHED)) == {
        "input": {"topic": "news", "partition": 0, "offset": 7},
        "state": "done",
        "absence": None,
        "id": "7",
        "key": "k\x1b[2J",
        "bytes": 35,
        "timestamp": "2023-11-14T22:13:20.000Z",
        "timestamp_is": "its producer's",
        "trace_id": PARENT.trace_id,
        "committed": 8,
        "behind": 0,
        "outcomes": [
            {
                "kind": "enriched",
                "topic": "out",
                "partition": 2,
                "offset": 41,
                "at": "2023-11-14T22:13:22.345Z",
                "latency_s": 2.345,
                "trace_id": PARENT.trace_id,
                "model": "m",
                "revision": "r",
                "version": "1.0",
            }
        ],
    }
    letter = as_json(fate(LETTER))["outcomes"][0]
    assert letter["code"] == "no_text"
    assert (letter["sent_to"], letter["attempts"], letter["latency_s"]) == (["news"], 1, None)
    absent = as_json(Fate(AT, absence=Absence.TO_COME))
    assert (absent["state"], absent["absence"], absent["bytes"]) == ("no message", "to come", None)
