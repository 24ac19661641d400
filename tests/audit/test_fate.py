"""What became of single messages, told from what stands in the topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from consumer.audit.audit import Role
from consumer.audit.fate import Absence, Fate, Fates, OutcomeKind, State
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.headers import (
    ERRORS,
    REPLAY_ATTEMPTS,
    REPLAY_MARK,
    SOURCE,
    without_source,
)
from consumer.contracts.messages import Position, RawMessage, TopicPartition
from consumer.contracts.traces import TraceParent, with_traceparent
from tests.support.memory.audited import CODEC, given, letter_of, outcome_of

AT = Position(TopicPartition("news", 0), 7)
PARENT = TraceParent("ab" * 16, "cd" * 8, True)
TIME_MS = 1_700_000_000_000


def fates() -> Fates:
    return Fates([AT], CODEC.told_in)


def only(found: Fates) -> Fate:
    (fate,) = found.all
    return fate


def told(raw: RawMessage, *outcomes: tuple[Role, RawMessage], has_own_time: bool = True) -> Fate:
    found = fates()
    found.note_input(raw, True)
    for role, outcome in outcomes:
        found.note_outcome(role, outcome, has_own_time)
    fate = only(found)
    fate.committed = 10
    return fate


def test_an_article_and_its_output() -> None:
    raw = given(7)
    fate = told(raw, outcome_of(given(6), 41), outcome_of(raw, 42), outcome_of(given(8), 43))
    (outcome,) = fate.outcomes
    assert (fate.state, fate.message, fate.behind) == (State.DONE, raw, 0)
    assert outcome.kind is OutcomeKind.ENRICHED
    assert outcome.position == Position(TopicPartition("out", 0), 42)
    assert outcome.tagging["model"] == "fake"
    # The codec of the tests tags at one second past the epoch.
    assert outcome.at_ms == 1_000
    assert fate.latency_ms(outcome) == 1_000 - TIME_MS


def test_a_dead_letter_says_why() -> None:
    raw = given(7, b"{", headers=((REPLAY_ATTEMPTS, b"2"),))
    fate = told(raw, (Role.DEAD_LETTERS, letter_of(raw, RejectCode.INVALID_JSON, 3)))
    (outcome,) = fate.outcomes
    assert outcome.kind is OutcomeKind.DEAD_LETTER
    assert (outcome.code, outcome.stage, outcome.reason) == ("invalid_json", "prepare", "why")
    assert outcome.attempts == 2
    assert outcome.at_ms is None
    assert fate.latency_ms(outcome) is None


@pytest.mark.parametrize("attempts", [b"9" * 5_000, b"-3", b"two", None])
def test_a_count_of_attempts_that_is_none_is_0(attempts: bytes | None) -> None:
    raw = given(7, b"{", headers=((REPLAY_ATTEMPTS, attempts),))
    (outcome,) = told(raw, (Role.DEAD_LETTERS, letter_of(raw))).outcomes
    assert outcome.attempts == 0


def test_a_dead_letter_of_an_older_version_names_its_input_in_its_reasons() -> None:
    raw = given(7, b"{")
    letter = letter_of(raw)
    old = letter._replace(headers=without_source(letter.headers))
    assert told(raw, (Role.DEAD_LETTERS, old)).state is State.DONE
    # And in the output nothing but the source counts.
    assert told(raw, (Role.OUTPUT, old)).state is State.MISSING


def test_a_mark_of_a_replay_is_no_outcome() -> None:
    raw = given(7)
    mark = letter_of(raw)._replace(headers=((REPLAY_MARK, b"1"),))
    assert not told(raw, (Role.DEAD_LETTERS, mark)).outcomes


def test_the_time_of_a_broker_is_when_it_was_made() -> None:
    raw = given(7, b"{")
    letter = letter_of(raw)._replace(timestamp_ms=TIME_MS + 250)
    fate = told(raw, (Role.DEAD_LETTERS, letter), has_own_time=False)
    assert fate.latency_ms(fate.outcomes[0]) == 250


def test_a_tombstone_passes() -> None:
    raw = given(7, None)
    assert told(raw, outcome_of(raw)).outcomes[0].kind is OutcomeKind.TOMBSTONE


@pytest.mark.parametrize(
    ("tagging", "kind"),
    [
        ({"model": "m", "revision": "r"}, OutcomeKind.UNCHANGED),
        ({"skipped": "no_text"}, OutcomeKind.UNTAGGED),
    ],
)
def test_what_no_model_read(tagging: Mapping[str, str], kind: OutcomeKind) -> None:
    value = orjson.dumps({"id": "7", "title": "a", "entities": [], "tagging": tagging})
    raw = given(7, value)
    output = raw._replace(
        position=Position(TopicPartition("out", 0), 1),
        headers=(*raw.headers, (SOURCE, b"news/0/7")),
    )
    (outcome,) = told(raw, (Role.OUTPUT, output)).outcomes
    assert (outcome.kind, outcome.tagging) == (kind, tagging)


def test_an_output_that_cannot_be_read_is_there_all_the_same() -> None:
    def unreadable(value: bytes) -> Mapping[str, Any]:
        raise RejectedMessage("invalid_avro", f"{len(value)} bytes")

    raw = given(7)
    found = Fates([AT], unreadable)
    found.note_input(raw, True)
    found.note_outcome(*outcome_of(raw), True)
    assert only(found).outcomes[0].tagging == {}


def test_a_second_outcome_is_listed_and_the_same_one_only_once() -> None:
    raw = given(7)
    fate = told(raw, outcome_of(raw, 1), outcome_of(raw, 1), outcome_of(raw, 2))
    assert [one.position.offset for one in fate.outcomes] == [1, 2]


@pytest.mark.parametrize(
    ("committed", "may_be_gone", "state", "behind"),
    [
        (None, False, State.WAITING, None),
        (7, False, State.WAITING, 1),
        (3, True, State.WAITING, 5),
        (8, False, State.MISSING, 0),
        (8, True, State.UNSAID, 0),
    ],
)
def test_what_has_no_outcome(
    committed: int | None, may_be_gone: bool, state: State, behind: int | None
) -> None:
    fate = told(given(7))
    fate.committed, fate.may_be_gone = committed, may_be_gone
    assert (fate.state, fate.behind) == (state, behind)


@pytest.mark.parametrize(
    ("absence", "committed", "state"),
    [
        (Absence.TO_COME, 3, State.NO_MESSAGE),
        (Absence.NOT_A_MESSAGE, 100, State.NO_MESSAGE),
        (Absence.HELD, 3, State.NO_MESSAGE),
        (Absence.REMOVED, 100, State.UNSAID),
        (Absence.REMOVED, 3, State.NO_MESSAGE),
    ],
)
def test_where_no_message_stands(absence: Absence, committed: int, state: State) -> None:
    fate = only(fates())
    fate.absence, fate.committed = absence, committed
    assert fate.state is state


def test_an_outcome_outlives_its_input() -> None:
    found = fates()
    only(found).absence = Absence.REMOVED
    found.note_outcome(*outcome_of(given(7)), True)
    assert only(found).state is State.DONE
    assert only(found).latency_ms(only(found).outcomes[0]) is None


def test_the_trace_is_the_message_s_or_that_of_its_outcome() -> None:
    raw = given(7)
    role, output = outcome_of(raw)
    traced = output._replace(headers=with_traceparent(output.headers, PARENT))
    assert told(raw).trace_id is None
    assert told(raw, (role, traced)).trace_id == PARENT.trace_id
    own = raw._replace(headers=with_traceparent((), PARENT._replace(trace_id="12" * 16)))
    assert told(own, (role, traced)).trace_id == "12" * 16


def test_reasons_that_are_no_text_are_made_text() -> None:
    raw = given(7, b"{")
    letter = letter_of(raw)
    headers = tuple(
        (name, b"\xff" if name == f"{ERRORS}message" else value) for name, value in letter.headers
    )
    fate = told(raw, (Role.DEAD_LETTERS, letter._replace(headers=headers)))
    assert fate.outcomes[0].reason == "�"
