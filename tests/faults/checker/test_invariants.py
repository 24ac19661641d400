"""The checker by itself: good evidence passes, and each kind of bad evidence is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from consumer.contracts.headers import with_source
from consumer.contracts.messages import Position, TopicPartition
from tests.faults.checker.invariants import Evidence, Verdict, check, copies
from tests.faults.checker.watcher import Sample, Seen
from tests.faults.feeding import inputs
from tests.faults.feeding.feed import Feed, Shape
from tests.faults.feeding.wires import JsonWire
from tests.faults.workers.light_tagger import INFO
from tests.integration.rigs.helpers import Record

COUNT = 300
FEED = Feed("in")
POISON, TOMBSTONE = 40, 96


def _positions(feed: Feed, order: Sequence[int]) -> dict[int, Position]:
    ends: Counter[TopicPartition] = Counter()
    positions = {}
    for number in order:
        place = feed.place(number)
        positions[number] = Position(place, ends[place])
        ends[place] += 1
    return positions


def _outcome(feed: Feed, number: int, at: Position, offset: int) -> tuple[str, Record]:
    sent, right = feed.record(number), feed.wire.expected(number)
    headers = tuple(with_source(sent.headers, at))
    stands: dict[str, Any] = {"partition": feed.output_partition(number), "offset": offset}
    if right.rejected is not None:
        reasons = _reasons(sent, at, right.rejected)
        return "dl", replace(sent, headers=(*headers, *reasons), **stands)
    if sent.value is None:
        return "out", replace(sent, headers=headers, **stands)
    assert right.entities is not None
    added = {
        "entities": [entity._asdict() for entity in right.entities],
        "tagging": {"model": INFO.name},
    }
    value = sent.value[:-1] + b"," + json.dumps(added, separators=(",", ":")).encode()[1:]
    return "out", replace(sent, value=value, headers=headers, **stands)


def _reasons(
    sent: Record, at: Position, code: str, stage: str = "prepare"
) -> list[tuple[str, bytes]]:
    told = {
        "code": code,
        "stage": stage,
        "topic": at.topic_partition.topic,
        "partition": at.topic_partition.partition,
        "offset": at.offset,
        "timestamp": sent.timestamp_ms,
    }
    return [(f"__nerstream.errors.{name}", str(value).encode()) for name, value in told.items()]


def _good(feed: Feed = FEED, order: Sequence[int] = range(COUNT)) -> Evidence:
    parts = range(feed.output_partitions)
    ends = {topic: dict.fromkeys(parts, 0) for topic in ("out", "dl")}
    positions = _positions(feed, order)
    seen: list[Seen] = []
    for number, at in positions.items():
        topic = "dl" if feed.wire.expected(number).rejected else "out"
        to = ends[topic]
        partition = feed.output_partition(number)
        seen.append(Seen(*_outcome(feed, number, at, to[partition]), number, 0.0))
        to[partition] += 1
    committed = dict.fromkeys(feed.partitions, 0)
    committed |= {at.topic_partition: at.offset + 1 for at in positions.values()}
    return Evidence(
        count=COUNT,
        feed=feed,
        positions=positions,
        outputs="out",
        letters="dl",
        seen=seen,
        records={
            topic: [one.record for one in seen if one.topic == topic] for topic in ("out", "dl")
        },
        samples=[Sample(committed, ends)],
        committed=committed,
        ends=committed,
        open_transactions={"out": 0, "dl": 0},
    )


def _with(good: Evidence, number: int, **changes: Any) -> Evidence:
    """The same, but that the outcome of one message is another, in the log too."""
    at = next(index for index, one in enumerate(good.seen) if one.number == number)
    seen = list(good.seen)
    old = seen[at].record
    seen[at] = replace(seen[at], record=replace(old, **changes))
    records = {
        topic: [seen[at].record if one is old else one for one in many]
        for topic, many in good.records.items()
    }
    return replace(good, seen=seen, records=records)


def _without(good: Evidence, number: int) -> Evidence:
    kept = [one for one in good.seen if one.number != number]
    records = {topic: [one.record for one in kept if one.topic == topic] for topic in good.records}
    return replace(good, seen=kept, records=records)


def _twice(good: Evidence, number: int) -> Evidence:
    first = next(one for one in good.seen if one.number == number)
    again = replace(first, record=replace(first.record, offset=10_000))
    records = {**good.records, first.topic: [*good.records[first.topic], again.record]}
    return replace(good, seen=[*good.seen, again], records=records)


def _swapped(good: Evidence) -> Evidence:
    seen = list(good.seen)
    seen[100], seen[106] = seen[106], seen[100]
    return replace(good, seen=seen)


def _early_commit(good: Evidence) -> Evidence:
    (sample,) = good.samples
    return replace(
        good, samples=[Sample(sample.committed, {**sample.ends, "out": dict.fromkeys(range(6), 3)})]
    )


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("seed", [0, 3])
def test_a_good_run_passes(shape: Shape, seed: int) -> None:
    verdict = check(_good(Feed("in", shape, seed, JsonWire(seed))))
    assert (verdict.lost, verdict.doubled, verdict.violations) == (0, 0, ())


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda good: _without(good, 17), "lost: message 17: it has no outcome"),
        (lambda good: _twice(good, 17), "doubled: message 17 in out[5]@10000: outcome number 2"),
        (lambda good: replace(good, count=200), "invented: an outcome of message 200"),
        (_swapped, "out of order: message 100 in out[4]@"),
        (_early_commit, "committed too far: offset 50 of in[0] before message 18"),
        (
            lambda good: _with(good, 17, value=b"{}"),
            "altered: message 17 in out[5]@2: changed: val",
        ),
        (lambda good: _with(good, 17, value=b"{}"), "wrong outcome: message 17: tagged by None"),
        (lambda good: _with(good, 17, value=inputs.record(17).value), "changed: value"),
        (
            lambda good: _with(good, POISON, value=b"{}"),
            "altered: message 40 in dl[4]@0: changed: ",
        ),
        (lambda good: _with(good, POISON, headers=inputs.record(POISON).headers), "that tells"),
        (
            lambda good: _with(good, POISON, headers=inputs.record(POISON).headers),
            "foreign: dl[4]@",
        ),
        (
            lambda good: _with(good, 17, headers=inputs.record(17).headers),
            "cannot be said: unnamed",
        ),
        (lambda good: _with(good, 17, timestamp_ms=1), "changed: timestamp"),
        (lambda good: _with(good, 17, key=b""), "changed: key"),
        (
            lambda good: _with(good, TOMBSTONE, value=b"{}"),
            "message 96 in out[0]@16: changed: value",
        ),
        (lambda good: _with(good, 17, partition=0), "another partition"),
        (lambda good: _with(good, POISON, partition=0), "in dl[0], another partition"),
        (
            lambda good: replace(good, open_transactions={"out": 2, "dl": 0}),
            "left open: 2 messages",
        ),
        (
            lambda good: replace(good, committed={**good.committed, TopicPartition("in", 3): 49}),
            "not committed: in[3]",
        ),
        (
            lambda good: replace(good, records={**good.records, "dl": []}),
            "was shown and is gone",
        ),
        (lambda good: replace(good, seen=good.seen[:-1]), "was not shown"),
    ],
)
def test_each_violation_is_told(spoil: Callable[[Evidence], Evidence], told: str) -> None:
    violations = check(spoil(_good())).violations
    assert any(told in line for line in violations), violations


def test_doubles_are_counted_and_allowed_at_least_once() -> None:
    evidence = replace(_twice(_good(), 17), exactly_once=False)
    verdict = check(evidence)
    assert (verdict.doubled, verdict.violations) == (1, ())


def test_the_order_is_that_of_the_log_where_a_topic_was_made_again() -> None:
    """The client may write anew what was under way, behind what came later."""
    late, early = 100, 100 + 2 * inputs.PARTITIONS
    order = [{late: early, early: late}.get(number, number) for number in range(COUNT)]
    good = replace(_good(order=order), gone_with=(frozenset(),))
    assert check(good) == Verdict(0, 0, ())
    assert any("out of order: message " in line for line in check(_swapped(good)).violations)


def test_what_went_with_a_topic_stands_before_what_came_to_the_next() -> None:
    good = _good()
    gone = frozenset(range(150))
    ends: Counter[TopicPartition] = Counter()
    positions = dict(good.positions)
    for number in range(150, COUNT):
        place = FEED.place(number)
        positions[number] = Position(place, ends[place])
        ends[place] += 1
    seen, tos = [], {topic: dict.fromkeys(range(6), 0) for topic in ("out", "dl")}
    for one in good.seen:
        to, partition = tos[one.topic], FEED.output_partition(one.number)
        record = _outcome(FEED, one.number, positions[one.number], to[partition])[1]
        seen.append(replace(one, record=record))
        to[partition] += 1
    records = {topic: [one.record for one in seen if one.topic == topic] for topic in ("out", "dl")}
    again = replace(
        good, positions=positions, seen=seen, records=records, samples=[], gone_with=(gone,)
    )
    again = replace(again, committed=dict(ends), ends=dict(ends))
    assert check(again) == Verdict(0, 0, ())


#: A long article, and a poisoned message behind it in its partition.
LONG, POISON_BEHIND = 0, 204


def _refused_late(good: Evidence) -> Evidence:
    """The topic took the long article for too large when later messages had been written."""
    assert inputs.is_long(LONG)
    assert inputs.expected(POISON_BEHIND).rejected
    sent, at = FEED.record(LONG), good.positions[LONG]
    named = with_source(sent.headers, at)
    headers = (*named, *_reasons(sent, at, "too_large", "publish"))
    letter = replace(sent, headers=headers, offset=10_000)
    without = _without(good, LONG)
    return replace(
        without,
        seen=[*without.seen, Seen("dl", letter, LONG, 0.0)],
        records={**without.records, "dl": [*without.records["dl"], letter]},
        # The commits of the good run are of another time.
        samples=[],
        may_be_too_large=True,
    )


def test_a_late_refusal_is_in_order_only_where_a_replay_shows() -> None:
    refused = _refused_late(_good())
    (line,) = check(refused).violations
    assert line == (
        f"out of order: message {LONG} in dl[0]@10000: it comes after the outcome of offset "
        f"{POISON_BEHIND}"
    )
    assert check(replace(refused, exactly_once=False)).violations == ()
    # Any other message must keep its place in either mode.
    swapped = replace(_swapped(_good()), exactly_once=False, may_be_too_large=True)
    assert any("out of order: message 100 " in line for line in check(swapped).violations)


def test_what_retention_removed_is_not_missed() -> None:
    evidence = replace(_without(_good(), 17), may_skip=frozenset({17}))
    assert check(evidence).violations == ()


def test_many_violations_are_told_in_short() -> None:
    verdict = check(replace(_good(), seen=[], records={"out": [], "dl": []}))
    assert verdict.lost == COUNT
    assert f"lost: and {COUNT - 5} more" in verdict.violations


def test_keys_that_stay_where_the_input_was_are_told() -> None:
    """As a worker would leave them that takes the input's partition for the output's."""
    good = _good(Feed("in", Shape.MOVED))
    stayed = [
        replace(
            one,
            record=replace(one.record, partition=good.feed.place(one.number).partition % 4),
        )
        for one in good.seen
    ]
    violations = check(replace(good, seen=stayed)).violations
    assert any("another partition than its place" in line for line in violations), violations


def _fed_twice(number: int) -> tuple[Evidence, Position]:
    """Evidence in which an input stands once more, behind all others, and each has its outcome."""
    good = _good()
    place = FEED.place(number)
    again = Position(place, good.ends[place])
    partition = FEED.output_partition(number)
    shown = [one for one in good.seen if one.topic == "out" and one.record.partition == partition]
    topic, record = _outcome(FEED, number, again, len(shown))
    seen = [*good.seen, Seen(topic, record, number, 0.0)]
    ends = {**good.ends, place: again.offset + 1}
    records = {**good.records, topic: [*good.records[topic], record]}
    return replace(good, seen=seen, records=records, committed=ends, ends=ends), again


def test_an_input_that_was_written_twice_is_no_fault_of_the_worker() -> None:
    evidence, again = _fed_twice(7)
    assert check(evidence).violations
    stands = [*((n, at) for n, at in evidence.positions.items()), (7, again)]
    found = copies(evidence.seen, evidence.positions, lambda: stands)
    assert found == {again}
    assert check(replace(evidence, copies=found)).violations == ()


def test_an_outcome_that_names_another_place_is_a_fault_where_the_input_does_not_stand() -> None:
    evidence, again = _fed_twice(7)
    first = evidence.positions[7]
    for stands in (
        # Another input, or none, stands at the place that it names.
        [(7, first), (8, again)],
        [(7, first)],
        # The client that wrote it was told another place than that at which it stands.
        [(7, again)],
    ):
        assert copies(evidence.seen, evidence.positions, partial(list, stands)) == frozenset()


def test_nobody_reads_the_inputs_again_where_each_outcome_names_its_own() -> None:
    good = _good()

    def never() -> list[tuple[int, Position]]:
        raise AssertionError("asked")

    assert copies(good.seen, good.positions, never) == frozenset()
