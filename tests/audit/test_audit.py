"""The core of the audit: a good log passes, and every planted fault is found where it was put."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as any_of
from hypothesis import settings
from hypothesis import strategies as st

from consumer.audit.audit import Role
from consumer.audit.findings import Kind, Reason, Unsaid
from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.headers import ERRORS, REPLAY_MARK, SOURCE, without_source
from consumer.contracts.messages import Headers, Position, RawMessage, TopicPartition
from consumer.contracts.traces import TraceParent, with_traceparent, without_traceparent
from tests.support.memory.audited import DEAD, OUT, Log, article, given, letter_of, outcome_of

POISON, TOMBSTONE, GOOD = 3, 5, 7


def inputs(count: int = 12) -> list[RawMessage]:
    """Articles, one message that is none, and a tombstone."""
    values = {POISON: b"{", TOMBSTONE: None}
    return [given(n, values.get(n, b"")) for n in range(count)]


def spoilt(log: Log, number: int, **changes: Any) -> Log:
    role, raw = log.outcomes[number]
    log.outcomes[number] = role, raw._replace(**changes)
    return log


def test_a_good_log_passes_and_is_counted() -> None:
    found = Log.of(inputs()).audited()
    assert not found.wrong()
    assert not found.unsaid
    assert (found.inputs, found.enriched, found.tombstones) == (12, 10, 1)
    assert found.dead_letters == {"invalid_json": 1}


def test_losses_are_found() -> None:
    log = Log.of(inputs())
    log.outcomes = [one for n, one in enumerate(log.outcomes) if n not in (POISON, TOMBSTONE, 11)]
    assert log.found() == {Kind.LOST: [POISON, TOMBSTONE, 11]}


@pytest.mark.parametrize("number", [POISON, TOMBSTONE, GOOD])
def test_doubles_are_found(number: int) -> None:
    log = Log.of(inputs())
    log.outcomes.append(log.outcomes[number])
    assert log.found() == {Kind.DOUBLED: [number]}


def test_an_article_that_is_also_a_dead_letter_is_doubled() -> None:
    log = Log.of(inputs())
    log.outcomes.append((Role.DEAD_LETTERS, letter_of(log.inputs[GOOD])))
    assert log.found() == {Kind.DOUBLED: [GOOD]}


def test_swaps_are_found() -> None:
    log = Log.of(inputs())
    log.outcomes[8], log.outcomes[9] = log.outcomes[9], log.outcomes[8]
    assert log.found() == {Kind.REORDERED: [8]}


def test_only_outcomes_of_one_partition_in_one_partition_have_an_order() -> None:
    log = Log.of([given(n, partition=p) for p in (0, 1) for n in range(3)])
    log.outcomes = [
        outcome_of(log.inputs[number], offset, partition)
        for offset, (number, partition) in enumerate(
            [(3, 0), (0, 0), (1, 1), (4, 0), (2, 0), (5, 1)]
        )
    ]
    assert log.found() == {}


@pytest.mark.parametrize(
    ("number", "changes", "said"),
    [
        (GOOD, {"value": article(GOOD)}, "value"),  # nothing is added
        (GOOD, {"value": None}, "value"),
        (TOMBSTONE, {"value": b"{}"}, "value"),
        (POISON, {"value": b"{ "}, "value"),
        (POISON, {"value": None}, "value"),
        (GOOD, {"key": None}, "key"),
        (TOMBSTONE, {"key": b""}, "key"),
        (POISON, {"key": b"other"}, "key"),
        (GOOD, {"timestamp_ms": 1_700_000_000_000 + 2**32}, "timestamp"),
        (TOMBSTONE, {"timestamp_ms": None}, "timestamp"),
        (POISON, {"timestamp_ms": 5}, "timestamp"),
    ],
)
def test_altered_parts_are_found_and_named(number: int, changes: dict[str, Any], said: str) -> None:
    found = spoilt(Log.of(inputs()), number, **changes).audited()
    assert dict(found.counts) == {Kind.ALTERED: 1}
    (one,) = found.kept[Kind.ALTERED]
    assert (one.input.offset, one.said) == (number, f"changed: {said}")


@pytest.mark.parametrize("number", [POISON, TOMBSTONE, GOOD])
@pytest.mark.parametrize("change", ["lost", "added", "altered"])
def test_altered_headers_are_found(number: int, change: str) -> None:
    log = Log.of(inputs())
    headers = log.outcomes[number][1].headers
    spoilt_headers = {
        "lost": headers[1:],
        "added": (("b", b""), *headers),
        "altered": (("desk", b"2"), *headers[1:]),
    }[change]
    found = spoilt(log, number, headers=spoilt_headers).audited()
    (one,) = found.kept[Kind.ALTERED]
    assert (one.input.offset, one.said) == (number, "changed: headers")


TRACE, SPAN = "ab" * 16, "cd" * 8
OF_INPUT = TraceParent(TRACE, SPAN, True)
OF_OUTPUT = TraceParent(TRACE, "ef" * 8, True)


@pytest.mark.parametrize("value", [b"", b"{"])
@pytest.mark.parametrize(
    ("before", "after", "is_altered"),
    [
        (OF_INPUT, OF_INPUT, False),
        (OF_INPUT, OF_OUTPUT, False),  # as a worker that traces leaves it
        (None, OF_OUTPUT, False),
        (OF_INPUT, None, True),
        (OF_INPUT, TraceParent("12" * 16, SPAN, True), True),
    ],
)
def test_an_outcome_stays_in_the_trace_of_its_input(
    value: bytes, before: TraceParent | None, after: TraceParent | None, is_altered: bool
) -> None:
    headers: Headers = (("desk", b"1"),)
    started = headers if before is None else with_traceparent(headers, before)
    log = Log.of([given(0, value, headers=started)])
    kept = without_traceparent(log.outcomes[0][1].headers)
    left = kept if after is None else with_traceparent(kept, after)
    found = spoilt(log, 0, headers=left).found()
    assert found == ({Kind.ALTERED: [0]} if is_altered else {})


@settings(max_examples=200, deadline=None)
@any_of(at=st.integers(0, 10_000), put=st.integers(1, 255))
def test_any_altered_byte_of_the_input_is_found(at: int, put: int) -> None:
    log = Log.of([given(0)])
    _, raw = log.outcomes[0]
    value = bytearray(raw.value or b"")
    own = value.index(b',"entities"')
    value[at % own] ^= put
    assert spoilt(log, 0, value=bytes(value)).audited().counts[Kind.ALTERED] == 1


def test_an_outcome_of_no_input_is_found() -> None:
    log = Log.of(inputs())
    gone = log.inputs.pop(4)
    assert log.found() == {Kind.INVENTED: [gone.position.offset]}
    log.compacted = ["news"]
    assert log.found() == {}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (given(12), "the partition ends at offset 12"),
        (given(10**18), "the partition ends at offset 12"),
        (given(0, partition=9), "the topic has no such partition"),
        (given(0, topic="other"), ""),  # of another worker, which shares the output
    ],
)
@pytest.mark.parametrize("role", list(Role))
def test_an_outcome_of_an_input_that_cannot_be_is_found(
    source: RawMessage, said: str, role: Role
) -> None:
    log = Log.of(inputs())
    planted = letter_of(source) if role is Role.DEAD_LETTERS else outcome_of(source)[1]
    # Before all others of its partition: it must not stand for their order.
    log.outcomes.insert(0, (role, planted))
    ends = {TopicPartition("news", 0): 12}
    found = log.audited(ends=ends)
    assert dict(found.counts) == ({Kind.INVENTED: 1} if said else {})
    assert [one.said for one in found.kept.get(Kind.INVENTED, ())] == ([said] if said else [])
    assert not log.audited(ends=ends, tells_beyond=False).counts


def test_what_is_gone_is_not_told_by_the_outcome_of_an_input_that_cannot_be() -> None:
    log = Log.of(inputs())
    del log.outcomes[9]
    log.outcomes.insert(0, outcome_of(given(500)))
    found = log.audited([gap()], ends={TopicPartition("news", 0): 12})
    assert dict(found.counts) == {Kind.INVENTED: 1, Kind.LOST: 1}


def test_a_dead_letter_that_names_two_inputs_is_found() -> None:
    log = Log.of(inputs())
    headers = tuple(
        (name, b"4" if name == f"{ERRORS}offset" else value)
        for name, value in log.outcomes[POISON][1].headers
    )
    (one,) = spoilt(log, POISON, headers=headers).audited().kept[Kind.ALTERED]
    assert one.said == "it names news[0]@4 as well"


def test_of_a_dead_letter_of_an_older_version_the_reasons_name_the_input() -> None:
    log = Log.of(inputs())
    spoilt(log, POISON, headers=without_source(log.outcomes[POISON][1].headers))
    assert log.found() == {}


def test_a_chain_of_workers_keeps_the_first_ones_fields_and_headers() -> None:
    """What the first has added, the second replaces: its entities, and the input that is named."""
    _, first = outcome_of(given(7))
    second = given(0, first.value, topic="tagged", headers=first.headers)
    assert dict(second.headers)[SOURCE] == b"news/0/7"
    assert Log.of([second]).found() == {}
    _, raw = outcome_of(second)
    assert dict(raw.headers)[SOURCE] == b"tagged/0/0"


def test_a_dead_letter_that_was_sent_back_has_other_reasons_then() -> None:
    letter = letter_of(given(7, b"{"))
    again = given(0, b"{", headers=letter.headers)
    assert Log.of([again]).found() == {}
    mended = given(0, headers=letter.headers)
    assert Log.of([mended]).found() == {}


def test_the_mark_of_a_replay_is_no_outcome() -> None:
    log = Log.of(inputs())
    mark = given(0, b"{}", topic=DEAD, headers=((REPLAY_MARK, b"1"),))
    log.outcomes.append((Role.DEAD_LETTERS, mark))
    found = log.audited()
    assert (dict(found.counts), found.unsaid, found.dead_letters.total()) == ({}, [], 1)


def test_a_message_among_the_dead_letters_that_names_nothing_is_no_outcome() -> None:
    """Each version says where a dead letter came from. So this one hides no loss."""
    log = Log.of(inputs())
    del log.outcomes[9]
    for offset in (3, 4):
        log.outcomes.append((Role.DEAD_LETTERS, given(offset, topic=DEAD)))
    found = log.audited(most=1)
    assert (dict(found.counts), found.unsaid, found.unsaid_inputs) == ({Kind.LOST: 1}, [], 0)
    assert found.dead_letters == {"invalid_json": 1}
    assert (found.foreign, found.kept_foreign) == (2, [Position(TopicPartition(DEAD, 0), 3)])


@pytest.mark.parametrize("told", [b"--5", b"1" * 5_000, b"-", b"\xd9\xa3", b""])
def test_a_dead_letter_whose_time_is_no_number_is_altered(told: bytes) -> None:
    log = Log([given(0)])
    letter = letter_of(log.inputs[0])
    headers = tuple((n, told if n == f"{ERRORS}timestamp" else v) for n, v in letter.headers)
    log.outcomes = [(Role.DEAD_LETTERS, letter._replace(headers=headers))]
    assert log.found() == {Kind.ALTERED: [0]}


@pytest.mark.parametrize("timestamp_ms", [0, None, -5])
def test_a_timestamp_that_cannot_be_written_is_told_in_a_header(timestamp_ms: int | None) -> None:
    raw = given(0, timestamp_ms=timestamp_ms)
    letter = letter_of(raw, RejectCode.TIMESTAMP_REFUSED)._replace(timestamp_ms=None)
    log = Log([raw], [(Role.DEAD_LETTERS, letter)])
    assert log.found() == {}
    told = tuple((n, b"1" if n == f"{ERRORS}timestamp" else v) for n, v in letter.headers)
    log.outcomes = [(Role.DEAD_LETTERS, letter._replace(headers=told))]
    assert log.found() == {Kind.ALTERED: [0]}


def test_a_topic_with_the_brokers_time_says_nothing_of_the_articles() -> None:
    log = Log.of(inputs(), own_time=False)
    for number in (GOOD, POISON):
        spoilt(log, number, timestamp_ms=7)
    assert log.found() == {}


# --- at_least_once


def test_at_least_once_a_replay_begins_further_back_and_is_in_order() -> None:
    log = Log.of(inputs(), exactly_once=False)
    log.outcomes[6:] = [*log.outcomes[4:9], *log.outcomes[7:]]
    found = log.audited()
    assert dict(found.counts) == {Kind.DOUBLED: 4}
    log.outcomes[2], log.outcomes[1] = log.outcomes[1], log.outcomes[2]
    assert log.audited().counts[Kind.REORDERED] == 1


def test_at_least_once_what_a_replay_adds_is_in_the_order_of_the_replay() -> None:
    log = Log.of(inputs(), exactly_once=False)
    first, second = log.outcomes[:3] + log.outcomes[6:7], log.outcomes[2:]
    log.outcomes = [*first, *second]
    assert log.found() == {Kind.DOUBLED: [2, 6]}


@pytest.mark.parametrize("exactly_once", [True, False])
def test_a_late_refusal_is_in_order_only_where_a_replay_shows(exactly_once: bool) -> None:
    """The topic took it for too large when a later one's dead letter was written."""
    log = Log([given(0), given(1)], exactly_once=exactly_once)
    for stage in RejectStage:
        log.outcomes = [
            (Role.DEAD_LETTERS, letter_of(log.inputs[1])),
            (Role.DEAD_LETTERS, letter_of(log.inputs[0], stage=stage)),
        ]
        is_late = stage is RejectStage.PUBLISH and not exactly_once
        assert log.found() == ({} if is_late else {Kind.REORDERED: [0]})


# --- what cannot be said


def gap(reason: Reason = Reason.REMOVED, topic: str = OUT) -> Unsaid:
    return Unsaid(reason, TopicPartition(topic, 0), 0, 4)


def test_of_what_retention_took_nothing_can_be_said_and_of_the_rest_it_can() -> None:
    log = Log.of(inputs())
    # The first four outcomes are gone, and behind them one was never written.
    log.outcomes = [one for n, one in enumerate(log.outcomes) if n > POISON and n != 9]
    found = log.audited([gap()])
    assert dict(found.counts) == {Kind.LOST: 1}
    assert found.kept[Kind.LOST][0].input.offset == 9
    assert found.unsaid_inputs == 4
    assert found.unsaid == [gap()]


def test_where_all_dead_letters_are_gone_any_missing_input_may_have_been_one() -> None:
    log = Log.of(inputs())
    del log.outcomes[9]
    found = log.audited([gap(topic=DEAD)])
    # One dead letter is left, of an input before the missing one: so it came behind what is gone.
    assert dict(found.counts) == {Kind.LOST: 1}
    del log.outcomes[POISON]
    found = log.audited([gap(topic=DEAD)])
    assert (dict(found.counts), found.unsaid_inputs) == ({}, 2)


def test_compaction_takes_outcomes_from_anywhere() -> None:
    log = Log.of(inputs())
    del log.outcomes[9]
    found = log.audited([gap(Reason.COMPACTED)])
    assert (dict(found.counts), found.unsaid_inputs) == ({}, 1)
    log.outcomes.append(log.outcomes[0])
    assert dict(log.audited([gap(Reason.COMPACTED)]).counts) == {Kind.DOUBLED: 1}


def test_messages_that_name_no_input_may_be_any() -> None:
    log = Log.of(inputs())
    for number in (0, 1, 4):
        spoilt(log, number, headers=())
    found = log.audited()
    assert (dict(found.counts), found.unsaid_inputs) == ({}, 3)
    assert found.unsaid == [Unsaid(Reason.UNNAMED, TopicPartition(OUT, 0), 0, 5)]


def test_outcomes_of_other_inputs_are_no_ones_business_here() -> None:
    log = Log.of(inputs())
    log.outcomes += [outcome_of(given(0, topic="other")), outcome_of(given(500))]
    assert log.found() == {}


def test_findings_are_counted_beyond_those_that_are_kept() -> None:
    log = Log(inputs(), [])
    found = log.audited(most=3)
    assert found.counts[Kind.LOST] == 12
    assert [one.input.offset for one in found.kept[Kind.LOST]] == [0, 1, 2]
