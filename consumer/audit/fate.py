"""Fate: what became of single messages, told from what stands in the topics.

No thread, no clock, no broker, as the audit: it is told of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from consumer.audit.audit import Role
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.headers import (
    ERRORS,
    is_replay_mark,
    replay_attempts,
    source_in,
    told_origin,
)
from consumer.contracts.messages import Headers, Position, RawMessage
from consumer.contracts.traces import traceparent_in


class OutcomeKind(StrEnum):
    """What a message became."""

    ENRICHED = "enriched"
    UNTAGGED = "untagged"  # published with no entities, since no model read it
    UNCHANGED = "unchanged"  # published as it is, since it had been tagged before
    TOMBSTONE = "tombstone"
    DEAD_LETTER = "dead letter"


class State(StrEnum):
    """How far a message is."""

    DONE = "done"  # it has an outcome
    WAITING = "waiting"  # the group has not committed it yet
    MISSING = "missing"  # the group is past it, and there is no outcome
    UNSAID = "unsaid"  # the group is past it, and an outcome may have been removed, or is held
    NO_MESSAGE = "no message"  # none stands there, and nothing came of one


class Absence(StrEnum):
    """Why no message stands at an offset."""

    REMOVED = "removed"  # retention or DeleteRecords took it
    TO_COME = "to come"  # the partition has not got so far
    HELD = "held"  # an open transaction of a producer upstream holds it, or what is before it
    NOT_A_MESSAGE = "not a message"  # a marker, taken back by an abort, or compacted away


@dataclass(frozen=True, slots=True)
class Outcome:
    """A message in the output or among the dead letters that names an input.

    Attributes:
        kind: what it is.
        position: where it stands.
        at_ms: when it was made, milliseconds since the epoch: by what it says of itself, or by the
            broker's time; None where neither is there.
        trace_id: of its `traceparent`.
        tagging: what it says of the model, or why none read it.
        code, stage, reason: why it is a dead letter.
        attempts: how often it had been sent back before that.
        sent_to: the topics that it was sent back to since.
    """

    kind: OutcomeKind
    position: Position
    at_ms: int | None
    trace_id: str | None
    tagging: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    stage: str = ""
    reason: str = ""
    attempts: int = 0
    sent_to: tuple[str, ...] = ()


@dataclass(slots=True)
class Fate:
    """A message and what became of it.

    Attributes:
        position: where it stands in the input.
        message: it; None where it is not there.
        has_own_time: whether its timestamp is its producer's and not the broker's.
        id: the article's; empty where none is known.
        absence: why it is not there.
        committed: the group's offset in its partition; None where it has none.
        outcomes: in the order in which they were found.
        may_be_gone: whether an outcome may have been removed, or is held by an open transaction.
    """

    position: Position
    message: RawMessage | None = None
    has_own_time: bool = True
    id: str = ""
    absence: Absence | None = None
    committed: int | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    may_be_gone: bool = False

    @property
    def behind(self) -> int | None:
        """Offsets from the group's place up to it, its own included; 0 where the group is past."""
        if self.committed is None:
            return None
        return max(0, self.position.offset + 1 - self.committed)

    @property
    def state(self) -> State:
        """How far it is."""
        if self.outcomes:
            return State.DONE
        if self.message is None and self.absence is not Absence.REMOVED:
            return State.NO_MESSAGE
        if self.behind != 0:
            return State.NO_MESSAGE if self.message is None else State.WAITING
        return State.UNSAID if self.may_be_gone or self.message is None else State.MISSING

    @property
    def trace_id(self) -> str | None:
        """Of the message, or else of its outcome, where a trace may have begun in the worker."""
        headers: Headers = self.message.headers if self.message is not None else ()
        parent = traceparent_in(headers)
        if parent is not None:
            return parent.trace_id
        return next((one.trace_id for one in self.outcomes if one.trace_id), None)

    def latency_ms(self, outcome: Outcome) -> int | None:
        """From its timestamp to an outcome; None where one of both is not known."""
        if self.message is None or self.message.timestamp_ms is None or outcome.at_ms is None:
            return None
        return outcome.at_ms - self.message.timestamp_ms


class Fates:
    """Fates of some messages, by what is read of the topics.

    Args:
        positions: of the messages.
        tagging_in: what `tagging` says in the value of an output.
    """

    def __init__(
        self, positions: Iterable[Position], tagging_in: Callable[[bytes], Mapping[str, Any]]
    ) -> None:
        self._tagging_in = tagging_in
        self._fates = {position: Fate(position) for position in positions}

    @property
    def all(self) -> Collection[Fate]:
        """In the order in which they were asked for."""
        return self._fates.values()

    @property
    def are_done(self) -> bool:
        """Whether each has an outcome."""
        return all(fate.outcomes for fate in self._fates.values())

    def of(self, position: Position) -> Fate:
        """One of them."""
        return self._fates[position]

    def note_input(self, raw: RawMessage, has_own_time: bool) -> None:
        """A message of the input."""
        fate = self._fates.get(raw.position)
        if fate is not None:
            fate.message, fate.has_own_time = raw, has_own_time

    def note_outcome(self, role: Role, raw: RawMessage, has_own_time: bool) -> None:
        """A message of the output, or of the dead letters."""
        if role is Role.DEAD_LETTERS and is_replay_mark(raw.headers):
            return
        source = source_in(raw.headers)
        if source is None and role is Role.DEAD_LETTERS:
            source = told_origin(raw.headers)  # an older version's
        fate = None if source is None else self._fates.get(source)
        if fate is None or any(one.position == raw.position for one in fate.outcomes):
            return
        fate.outcomes.append(self._outcome(role, raw, fate.message, has_own_time))

    def _outcome(
        self, role: Role, raw: RawMessage, given: RawMessage | None, has_own_time: bool
    ) -> Outcome:
        at_ms = None if has_own_time else raw.timestamp_ms
        parent = traceparent_in(raw.headers)
        trace_id = None if parent is None else parent.trace_id
        if role is Role.DEAD_LETTERS:
            told = {name: (value or b"").decode("utf-8", "replace") for name, value in raw.headers}
            return Outcome(
                OutcomeKind.DEAD_LETTER,
                raw.position,
                at_ms,
                trace_id,
                code=told.get(f"{ERRORS}code", ""),
                stage=told.get(f"{ERRORS}stage", ""),
                reason=told.get(f"{ERRORS}message", ""),
                attempts=replay_attempts(raw.headers),
            )
        if raw.value is None:
            return Outcome(OutcomeKind.TOMBSTONE, raw.position, at_ms, trace_id)
        try:
            tagging = self._tagging_in(raw.value)
        except RejectedMessage:
            tagging = {}  # another program's; that it is there is all that is known
        kind = OutcomeKind.ENRICHED
        if "skipped" in tagging:
            kind = OutcomeKind.UNTAGGED
        elif given is not None and given.value == raw.value:
            # What it says of the model is what it said before.
            return Outcome(OutcomeKind.UNCHANGED, raw.position, at_ms, trace_id, tagging)
        made_ms = _time_ms(tagging.get("tagged_at"))
        return Outcome(kind, raw.position, made_ms or at_ms, trace_id, tagging)


def _time_ms(text: object) -> int | None:
    try:
        return round(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return None
