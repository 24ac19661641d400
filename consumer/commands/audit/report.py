"""What an audit found, for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from consumer.audit.findings import Finding, Findings, Kind, Reason
from consumer.audit.ranges import Range
from consumer.contracts.messages import Position, TopicPartition
from consumer.contracts.words import counted

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
        "foreign": {
            "count": found.foreign,
            "first": [_position(one) for one in found.kept_foreign],
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
    letters = found.dead_letters.total()
    yield (
        f"{counted(found.inputs, 'input')} of {counted(len(ranges), 'partition')}: "
        f"{found.enriched:,} enriched, {counted(found.tombstones, 'tombstone')}, "
        f"{counted(letters, 'dead letter')}{_codes(found)}"
    )
    yield ", ".join(f"{found.counts[kind]:,} {_SAID[kind]}" for kind in Kind)
    for kind in Kind:
        kept = found.kept.get(kind, [])
        note = " (at_least_once allows it)" if kind in allowed else ""
        for one in kept:
            where = "" if one.outcome is None else f", in {one.outcome}"
            yield f"{_SAID[kind]}{note}: {one.input}{where}: {one.said}"
        more = found.counts[kind] - len(kept)
        if more:
            yield f"{_SAID[kind]}{note}: and {more:,} more"
    for gap in found.unsaid:
        why = _WHY[gap.reason]
        yield f"cannot be said: {gap.partition}: offsets {gap.start} to {gap.end - 1} {why}"
    if found.unsaid_inputs:
        count = counted(found.unsaid_inputs, "input")
        theirs = "its own" if found.unsaid_inputs == 1 else "theirs"
        yield f"cannot be said: whether {count} without an outcome had {theirs} there"
    if found.foreign:
        is_one = found.foreign == 1
        names = "is no outcome: it names" if is_one else "are no outcomes: they name"
        whose = "it is" if is_one else "they are"
        first = "".join(f", the first at {one}" for one in found.kept_foreign[:1])
        yield (
            f"{counted(found.foreign, 'message')} among the dead letters {names} no input and no "
            f"origin, so {whose} another writer's{first}"
        )


def verdict(found: Findings, allowed: frozenset[Kind]) -> str:
    """The last line."""
    wrong = [kind for kind in Kind if found.counts[kind] and kind not in allowed]
    unsaid = ""
    if found.unsaid_inputs:
        share = f"{found.unsaid_inputs:,} of {counted(found.inputs, 'input')}"
        had = "it had" if found.unsaid_inputs == 1 else "they had"
        unsaid = f"of {share} nobody can say whether {had} an outcome"
    if wrong:
        said = "not every input has exactly one outcome, in order, with its own bytes"
        return f"{said}; {unsaid}" if unsaid else said
    if not found.inputs:
        return "there was no input to audit"
    least = "at least one outcome" if allowed else "exactly one outcome"
    said = f"has {least}, in order, with its own bytes beside what is added"
    if unsaid:
        all_are = found.unsaid_inputs == found.inputs
        return unsaid if all_are else f"{unsaid}; every other input {said}"
    which = " of which anything can be said" if found.unsaid else ""
    return f"every input{which} {said}"


def _codes(found: Findings) -> str:
    if not found.dead_letters:
        return ""
    return (
        f" ({', '.join(f'{code} {count:,}' for code, count in found.dead_letters.most_common())})"
    )


def _finding(found: Finding) -> dict[str, Any]:
    outcome = None if found.outcome is None else _position(found.outcome)
    return {**_position(found.input), "outcome": outcome, "said": found.said}


def _position(position: Position) -> dict[str, Any]:
    (topic, partition), offset = position
    return {"topic": topic, "partition": partition, "offset": offset}


def _stretch(partition: TopicPartition, start: int, end: int) -> dict[str, Any]:
    return {"topic": partition.topic, "partition": partition.partition, "start": start, "end": end}
