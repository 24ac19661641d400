"""The invariants of a fault run, checked from what is in Kafka alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from consumer.contracts.headers import without_source
from tests.faults import inputs
from tests.faults.light_tagger import INFO
from tests.faults.watcher import Sample, Seen
from tests.integration.helpers import Record

#: Violations that are told of each kind; the rest are counted.
_TOLD = 5

_ERRORS = "__nerstream.errors."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Kafka held when all workers had ended.

    Attributes:
        count: messages that were fed.
        positions: (partition, offset) of each of them in the input topic.
        outputs, letters: topic names of the enriched messages and of the dead letters.
        seen: outcomes as the reader saw them during the run, in the order of each partition.
        records: the same topics read anew in the end, `read_committed`, by topic.
        samples: looks at the committed offsets during the run.
        committed: the group's offsets in the end; ends: those of the input topic.
        open_transactions: for each output topic, messages beyond the last stable offset.
        exactly_once: whether no input may have two outcomes.
        may_skip: inputs that may lack an outcome, since retention removed them unread.
        may_be_too_large: whether a long article may be a dead letter instead.
    """

    count: int
    positions: Mapping[int, tuple[int, int]]
    outputs: str
    letters: str
    seen: Sequence[Seen]
    records: Mapping[str, Sequence[Record]]
    samples: Sequence[Sample]
    committed: Mapping[int, int]
    ends: Mapping[int, int]
    open_transactions: Mapping[str, int]
    exactly_once: bool = True
    may_skip: frozenset[int] = frozenset()
    may_be_too_large: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check found.

    Attributes:
        lost: inputs without an outcome.
        doubled: outcomes beyond the first of their input.
        violations: a line each; empty when the run is good.
    """

    lost: int
    doubled: int
    violations: tuple[str, ...]


def check(evidence: Evidence) -> Verdict:
    """Hold the evidence against every invariant."""
    times = Counter(one.number for one in evidence.seen)
    missing = [n for n in range(evidence.count) if not times[n] and n not in evidence.may_skip]
    doubled = sum(times.values()) - len(times)
    found: dict[str, list[str]] = {
        "lost": [f"message {n} has no outcome" for n in missing],
        "doubled": _doubled(evidence, times),
        "invented": [f"an outcome of message {n}" for n in times if not 0 <= n < evidence.count],
        "committed too far": list(_committed_too_far(evidence)),
        "out of order": list(_out_of_order(evidence)),
        "wrong outcome": list(_wrong(evidence)),
        "left open": [
            f"{count} messages of {topic} behind an open transaction"
            for topic, count in evidence.open_transactions.items()
            if count
        ],
        "not committed": not_committed(evidence.committed, evidence.ends),
        "taken back": list(_taken_back(evidence)),
    }
    return Verdict(len(missing), doubled, tuple(_lines(found)))


def _lines(found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for kind, problems in found.items():
        for problem in problems[:_TOLD]:
            yield f"{kind}: {problem}"
        if len(problems) > _TOLD:
            yield f"{kind}: and {len(problems) - _TOLD} more"


def _doubled(evidence: Evidence, times: Mapping[int, int]) -> list[str]:
    if not evidence.exactly_once:
        return []
    return [f"message {n} has {count} outcomes" for n, count in times.items() if count > 1]


def _committed_too_far(evidence: Evidence) -> Iterator[str]:
    """An input before a committed offset must have its outcome in the log by then."""
    first: dict[int, tuple[str, int, int]] = {}
    for one in evidence.seen:
        assert one.record.partition is not None
        assert one.record.offset is not None
        first.setdefault(one.number, (one.topic, one.record.partition, one.record.offset))
    by_position = {position: n for n, position in evidence.positions.items()}
    resolved = dict.fromkeys(range(inputs.PARTITIONS), 0)
    for sample in evidence.samples:
        for partition, offset in sample.committed.items():
            for before in range(resolved[partition], offset):
                number = by_position.get((partition, before))
                if number is None or number in evidence.may_skip:
                    continue
                outcome = first.get(number)
                if outcome is None or outcome[2] >= sample.ends[outcome[0]][outcome[1]]:
                    yield f"offset {offset} of [{partition}] before message {number} was resolved"
            resolved[partition] = max(resolved[partition], offset)


def _out_of_order(evidence: Evidence) -> Iterator[str]:
    """Under at_least_once a replay begins again further back; each pass is in order. What its topic
    refuses becomes a dead letter in such a replay, when later messages have their outcome."""
    last: dict[tuple[str, int | None], int] = {}
    seen: set[int] = set()
    for one in evidence.seen:
        where = (one.topic, one.record.partition)
        if _is_late_refusal(evidence, one):
            continue
        before = last.get(where, -1)
        if one.number < before and one.number not in seen:
            yield f"{where[0]}[{where[1]}]: message {one.number} after {before}"
        last[where] = one.number
        seen.add(one.number)


def _is_late_refusal(evidence: Evidence, one: Seen) -> bool:
    return (
        not evidence.exactly_once
        and evidence.may_be_too_large
        and one.topic == evidence.letters
        and inputs.is_long(one.number)
    )


def _wrong(evidence: Evidence) -> Iterator[str]:
    for one in evidence.seen:
        sent = inputs.record(one.number)
        expected = inputs.expected(one.number)
        problem = (
            _wrong_letter(evidence, one, sent, expected.rejected)
            if one.topic == evidence.letters
            else _wrong_output(one.record, sent, expected)
        )
        if problem:
            yield f"message {one.number}: {problem}"


def _wrong_letter(evidence: Evidence, one: Seen, sent: Record, code: str | None) -> str | None:
    headers = dict(one.record.headers)
    if code is None and evidence.may_be_too_large and inputs.is_long(one.number):
        code = "too_large"
    if code is None:
        return "a good message is a dead letter"
    kept = without_source(one.record.headers)
    if one.record.value != sent.value or kept[: len(sent.headers)] != sent.headers:
        return "a dead letter with other bytes than came in"
    partition, offset = evidence.positions[one.number]
    told = [headers.get(_ERRORS + name) for name in ("code", "partition", "offset")]
    if told != [code.encode(), str(partition).encode(), str(offset).encode()]:
        return f"a dead letter that tells {told}"
    return None


def _wrong_output(record: Record, sent: Record, expected: inputs.Expected) -> str | None:
    if expected.rejected is not None:
        return f"enriched, though it is {expected.rejected}"
    if without_source(record.headers) != sent.headers or record.partition != sent.partition:
        return "other headers or another partition than came in"
    if sent.value is None or record.value is None:
        return None if sent.value is record.value else "a null value that came or went"
    document = json.loads(record.value)
    entities, tagging = document.pop("entities", None), document.pop("tagging", {})
    if document != json.loads(sent.value):
        return "its own fields have changed"
    if tagging.get("model") != INFO.name:
        return f"tagged by {tagging.get('model')}"
    assert expected.entities is not None
    if entities != [entity._asdict() for entity in expected.entities]:
        return f"entities {entities}"
    for entity in entities:
        if document[entity["field"]][entity["start"] : entity["end"]] != entity["text"]:
            return f"the offsets of {entity}"
    return None


def not_committed(committed: Mapping[int, int], ends: Mapping[int, int]) -> list[str]:
    """Partitions in which the group does not stand at the end."""
    return [
        f"[{partition}] stands at {committed.get(partition)}, its end is {end}"
        for partition, end in ends.items()
        if end and committed.get(partition) != end
    ]


def _taken_back(evidence: Evidence) -> Iterator[str]:
    """What a reader saw must still be there, and nothing else."""
    shown: dict[str, list[Record]] = {topic: [] for topic in evidence.records}
    for one in evidence.seen:
        shown[one.topic].append(one.record)
    for topic, records in evidence.records.items():
        at = {(one.partition, one.offset): one.value for one in records}
        seen = {(one.partition, one.offset): one.value for one in shown[topic]}
        for place in sorted(at.keys() ^ seen.keys()):
            yield f"{topic} {place} was {'not shown' if place in at else 'shown and is gone'}"
        for place in sorted(at.keys() & seen.keys()):
            if at[place] != seen[place]:
                yield f"{topic} {place} was shown with another value"
