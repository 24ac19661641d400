"""What became of messages, for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from consumer.audit.fate import Absence, Fate, Outcome, OutcomeKind, State
from consumer.commands.times import written
from consumer.contracts.messages import Position
from consumer.contracts.safe_text import safe_bytes

#: Characters of a key and of a reason that a person sees.
_CHARACTERS = 300

#: The exit code where nothing is wrong, and something is still on its way.
WAITING = 3

_ABSENT: Mapping[Absence, str] = {
    Absence.REMOVED: "retention or DeleteRecords has removed it",
    Absence.TO_COME: "the partition has not got so far",
    Absence.HELD: "an open transaction of a producer upstream holds it",
    Absence.NOT_A_MESSAGE: "a transaction ends there, or took it back, or it was compacted away",
}


def exit_code(fates: Sequence[Fate]) -> int:
    """0 where each has an outcome, 3 where some are on their way, 1 where one has none or is not
    there."""
    states = {fate.state for fate in fates}
    if not fates or states - {State.DONE, State.WAITING}:
        return 1
    return WAITING if State.WAITING in states else 0


def as_json(fate: Fate) -> dict[str, Any]:
    """One object for `--json`."""
    raw = fate.message
    return {
        "input": position_json(fate.position),
        "state": fate.state.value,
        "absence": None if fate.absence is None else fate.absence.value,
        "id": fate.id or None,
        "key": None if raw is None or raw.key is None else raw.key.decode("utf-8", "replace"),
        "bytes": None if raw is None else len(raw.value or b""),
        "timestamp": None if raw is None else written(raw.timestamp_ms) or None,
        "timestamp_is": None if raw is None else _whose(fate),
        "trace_id": fate.trace_id,
        "committed": fate.committed,
        "behind": fate.behind,
        "outcomes": [_outcome_json(fate, one) for one in fate.outcomes],
    }


def _outcome_json(fate: Fate, outcome: Outcome) -> dict[str, Any]:
    latency_ms = fate.latency_ms(outcome)
    found: dict[str, Any] = {
        "kind": outcome.kind.value,
        **position_json(outcome.position),
        "at": written(outcome.at_ms) or None,
        "latency_s": None if latency_ms is None else latency_ms / 1000,
        "trace_id": outcome.trace_id,
    }
    if outcome.kind is OutcomeKind.DEAD_LETTER:
        return {
            **found,
            "code": outcome.code,
            "stage": outcome.stage,
            "reason": outcome.reason,
            "attempts": outcome.attempts,
            "sent_to": list(outcome.sent_to),
        }
    names = ("model", "revision", "skipped", "version")
    return found | {name: outcome.tagging[name] for name in names if name in outcome.tagging}


def position_json(position: Position) -> dict[str, Any]:
    """A place by its parts."""
    (topic, partition), offset = position
    return {"topic": topic, "partition": partition, "offset": offset}


def as_text(fate: Fate, group: str, output: str, dead: str) -> Iterator[str]:
    """Lines for a person.

    Args:
        group: of the workers; output, dead: their topics.
    """
    yield from _input_lines(fate)
    for outcome in fate.outcomes:
        yield from _outcome_lines(fate, outcome)
    if not fate.outcomes:
        yield _line("outcome", _no_outcome(fate, group, output, dead))
    trace_id = fate.trace_id
    if trace_id is not None:
        yield _line("trace", trace_id)


def _input_lines(fate: Fate) -> Iterator[str]:
    raw = fate.message
    if raw is None:
        why = _ABSENT[fate.absence or Absence.NOT_A_MESSAGE]
        yield _line("input", f"{place(fate.position)}: no message stands there: {why}")
        return
    size = "a tombstone"
    if raw.value is not None:
        size = f"{len(raw.value):,} byte{'' if len(raw.value) == 1 else 's'}"
    yield _line("input", f"{place(fate.position)}, {size}")
    if fate.id:
        yield _line("id", fate.id[:_CHARACTERS])
    if raw.key is not None:
        yield _line("key", safe_bytes(raw.key[:_CHARACTERS]))
    if raw.timestamp_ms is not None:
        yield _line("time", f"{written(raw.timestamp_ms)}, {_whose(fate)}")


def _outcome_lines(fate: Fate, outcome: Outcome) -> Iterator[str]:
    where = place(outcome.position)
    if outcome.kind is OutcomeKind.DEAD_LETTER:
        yield _line("outcome", f"dead letter {where}: {outcome.code} ({outcome.stage})")
        yield _line("reason", outcome.reason[:_CHARACTERS])
        if outcome.attempts:
            yield _line("attempts", str(outcome.attempts))
        yield _line("sent to", ", ".join(outcome.sent_to) or "nowhere yet")
    else:
        yield _line("outcome", f"{outcome.kind.value}{_why(outcome)}: {where}")
        if "model" in outcome.tagging:
            names = (outcome.tagging.get(name, "") for name in ("model", "revision"))
            yield _line("model", " ".join(map(str, names)))
    if outcome.at_ms is not None:
        latency_ms = fate.latency_ms(outcome)
        after = "" if latency_ms is None else f", {latency_ms / 1000:,.3f} s after its time"
        yield _line("made", written(outcome.at_ms) + after)


def _why(outcome: Outcome) -> str:
    skipped = outcome.tagging.get("skipped")
    return "" if skipped is None else f" ({skipped!s})"


def _no_outcome(fate: Fate, group: str, output: str, dead: str) -> str:
    committed = f"the group {group} has committed {fate.committed}"
    match fate.state:
        case State.WAITING if fate.committed is None:
            return f"not yet: the group {group} has committed nothing in this partition"
        case State.WAITING:
            return f"not yet: {committed}, {fate.behind:,} behind"
        case State.MISSING:
            return (
                f"none, although {committed}: it is lost, or the settings name other topics than "
                "those of the worker; nerstream audit looks at all"
            )
        case State.UNSAID:
            return (
                f"none is found; {committed}, so it may have been removed from {output} or {dead}, "
                "or an open transaction holds it"
            )
        case _:
            return "none"


def _whose(fate: Fate) -> str:
    return "its producer's" if fate.has_own_time else "the broker's"


def place(position: Position) -> str:
    """A place as the command takes it."""
    (topic, partition), offset = position
    return f"{topic}/{partition}/{offset}"


def _line(name: str, text: str) -> str:
    return f"{name:<10} {text}"
