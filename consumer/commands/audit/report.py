"""What an audit found, for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from consumer.audit.findings import Finding, Findings, Kind, Reason
from consumer.audit.ranges import Range
from consumer.contracts.messages import Position, TopicPartition

#: What is said of each kind, of one and of several.
_SAID: Mapping[Kind, str] = {
    Kind.LOST: "lost",
    Kind.DOUBLED: "doubled",
    Kind.REORDERED: "out of order",
    Kind.ALTERED: "altered",
    Kind.INVENTED: "of no input",
}

_WHY: Mapping[Reason, str] = {
    Reason.REMOVED: "are gone, by retention or DeleteRecords",
    Reason.SKIPPED: "are passed over, by --outcomes-from",
    Reason.COMPACTED: "are of a compacted topic, which keeps the newest message of a key only",
    Reason.UNNAMED: "hold messages without the header __nerstream.source, of an older version "
    "or another writer",
    Reason.OPEN: "are held by a transaction that is still open",
    Reason.UNCOMMITTED: "are not looked at: the group has committed nothing there",
}


def as_json(
    found: Findings, ranges: Mapping[TopicPartition, Range], is_good: bool, seconds: float
) -> dict[str, Any]:
    """One object for `--json`."""
    return {
        "good": is_good,
        "inputs": found.inputs,
        "enriched": found.enriched,
        "tombstones": found.tombstones,
        "dead_letters": dict(sorted(found.dead_letters.items())),
        **{
            kind.value: {
                "count": found.counts[kind],
                "first": [_finding(one) for one in found.kept.get(kind, ())],
            }
            for kind in Kind
        },
        "cannot_be_said": {
            "inputs": found.unsaid_inputs,
            "because": [
                {"reason": one.reason.value, **_stretch(one.partition, one.start, one.end)}
                for one in found.unsaid
            ],
        },
        "audited": [_stretch(one, *ranges[one]) for one in sorted(ranges)],
        "seconds": round(seconds, 3),
    }


def as_text(
    found: Findings, ranges: Mapping[TopicPartition, Range], allowed: frozenset[Kind]
) -> Iterator[str]:
    """Lines for a person.

    Args:
        allowed: kinds that the delivery mode allows.
    """
    partitions = len(ranges)
    yield (
        f"{found.inputs:,} inputs of {partitions} partition{'' if partitions == 1 else 's'}: "
        f"{found.enriched:,} enriched, {found.tombstones:,} tombstones, "
        f"{found.dead_letters.total():,} dead letters{_codes(found)}"
    )
    yield ", ".join(f"{found.counts[kind]:,} {_SAID[kind]}" for kind in Kind)
    for kind in Kind:
        kept = found.kept.get(kind, [])
        note = " (at_least_once allows it)" if kind in allowed else ""
        for one in kept:
            where = "" if one.outcome is None else f", in {_place(one.outcome)}"
            yield f"{_SAID[kind]}{note}: {_place(one.input)}{where}: {one.said}"
        more = found.counts[kind] - len(kept)
        if more:
            yield f"{_SAID[kind]}{note}: and {more:,} more"
    for gap in found.unsaid:
        (topic, partition), start, end = gap.partition, gap.start, gap.end
        why = _WHY[gap.reason]
        yield f"cannot be said: {topic}[{partition}]: offsets {start} to {end - 1} {why}"
    if found.unsaid_inputs:
        yield (
            f"cannot be said: whether {found.unsaid_inputs:,} inputs without an outcome had theirs "
            "there"
        )


def verdict(found: Findings, allowed: frozenset[Kind]) -> str:
    """The last line."""
    wrong = [kind for kind in Kind if found.counts[kind] and kind not in allowed]
    if wrong:
        return "not every input has exactly one outcome, in order, with its own bytes"
    if not found.inputs:
        return "there was no input to audit"
    least = "at least one outcome" if allowed else "exactly one outcome"
    said = f"has {least}, in order, with its own bytes beside what is added"
    return (
        f"every input of which anything can be said {said}"
        if found.unsaid
        else (f"every input {said}")
    )


def _codes(found: Findings) -> str:
    if not found.dead_letters:
        return ""
    return (
        f" ({', '.join(f'{code} {count:,}' for code, count in found.dead_letters.most_common())})"
    )


def _place(position: Position) -> str:
    (topic, partition), offset = position
    return f"{topic}[{partition}]@{offset}"


def _finding(found: Finding) -> dict[str, Any]:
    outcome = None if found.outcome is None else _position(found.outcome)
    return {**_position(found.input), "outcome": outcome, "said": found.said}


def _position(position: Position) -> dict[str, Any]:
    (topic, partition), offset = position
    return {"topic": topic, "partition": partition, "offset": offset}


def _stretch(partition: TopicPartition, start: int, end: int) -> dict[str, Any]:
    return {"topic": partition.topic, "partition": partition.partition, "start": start, "end": end}
