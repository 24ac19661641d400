"""Audit: inputs first, then the outcomes as a `read_committed` reader sees them.

No thread, no clock, no broker: it is told of messages and says what is wrong. The command
`nerstream audit` tells it what is in Kafka; the fault matrix tells it what its reader saw.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum

from consumer.audit.findings import Finding, Findings, Kind, Reason, Unsaid
from consumer.audit.ledger import Ledger
from consumer.audit.ranges import Range, Ranges, contain
from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.headers import ERRORS, is_replay_mark, source_in, told_origin
from consumer.contracts.messages import Headers, Position, RawMessage, TopicPartition
from consumer.contracts.ports import Comparison

#: Codes as they stand in a header. Others were written by a stranger, and may hold anything.
_CODES = {code.value.encode(): code.value for code in RejectCode}

#: Beyond every offset.
_NEVER = 2**63


class Role(Enum):
    """What a topic holds."""

    OUTPUT = "output"
    DEAD_LETTERS = "dead letters"


class Audit:
    """Holds inputs against their outcomes.

    First every input of the ranges is noted, then every outcome, each in the order of its
    partition. Of a longer audit this is a part: outcomes of other inputs count for the order only.

    Args:
        ranges: the inputs that it is about.
        comparison: how the values of outputs are held against those of inputs.
        exactly_once: whether an input may have one outcome only, and a dead letter whose message
            Kafka would not take must keep its place.
        compacted: topics of inputs that keep the newest message of a key only.
        most: findings of a kind that are kept; all are counted.
        ends: where each partition of the topics of inputs ends, asked for when the outcomes were
            there: an outcome of an input beyond is of none. Topics that are not in it are not
            judged so.
        tells_beyond: whether those are told of; of the parts of a longer audit one does.
    """

    def __init__(
        self,
        ranges: Ranges,
        comparison: Comparison,
        *,
        exactly_once: bool,
        compacted: Collection[str] = (),
        most: int = 20,
        ends: Mapping[TopicPartition, int] | None = None,
        tells_beyond: bool = True,
    ) -> None:
        self._ranges = ranges
        self._exactly_once = exactly_once
        self._compacted = frozenset(compacted)
        self._ledgers = {partition: Ledger(comparison) for partition in ranges}
        self._found = Findings(most)
        self._ends = ends or {}
        self._topics = frozenset(one.topic for one in self._ends)
        self._tells_beyond = tells_beyond
        #: In each partition of outcomes, the highest offset of each partition of inputs.
        self._last: dict[TopicPartition, dict[TopicPartition, int]] = {}
        #: Of partitions of outcomes of which something is gone or names no input: for each
        #: partition of inputs the first offset that is seen again behind that.
        self._floors: dict[TopicPartition, dict[TopicPartition, int]] = {}
        #: Whether any outcome may be gone: compaction takes them from wherever they stand.
        self._any_may_be_gone = False
        self._removed_inputs: list[tuple[TopicPartition, Range]] = []
        self._unnamed: dict[TopicPartition, list[int]] = {}

    def note_input(self, raw: RawMessage) -> None:
        """One more input; in the order of its partition."""
        self._ledgers[raw.position.topic_partition].note(raw)

    def note_input_gap(self, gap: Unsaid) -> None:
        """Inputs are gone, or cannot be read."""
        self._found.unsaid.append(gap)
        self._removed_inputs.append((gap.partition, Range(gap.start, gap.end)))

    def note_outcome_gap(self, gap: Unsaid) -> None:
        """Outcomes are gone, or cannot be read, before those that are noted next."""
        self._found.unsaid.append(gap)
        if gap.reason is Reason.COMPACTED:
            self._any_may_be_gone = True
        else:
            self._floors[gap.partition] = {}

    def note_outcome(self, role: Role, raw: RawMessage, has_own_time: bool = True) -> None:
        """One more outcome; in the order of its partition.

        Args:
            role: of its topic.
            has_own_time: whether its timestamp is the producer's, not the broker's.
        """
        where = raw.position.topic_partition
        source = source_in(raw.headers)
        if role is Role.DEAD_LETTERS:
            if is_replay_mark(raw.headers):
                return  # it says what was sent back, and is no outcome
            told = told_origin(raw.headers)
            if source is None:
                source = told  # an older version's
            elif told != source and contain(self._ranges, source):
                self._add(Kind.ALTERED, source, raw, f"it names {_spelled(told)} as well")
        if source is None:
            if role is Role.DEAD_LETTERS:
                # Each version says where a dead letter came from: none has written this one.
                self._found.add_foreign(raw.position)
            else:
                self._note_unnamed(raw.position)
            return
        beyond = self._beyond(source)
        if beyond:
            # It says nothing of the order of others, nor of what is gone before it.
            if self._tells_beyond:
                self._add(Kind.INVENTED, source, raw, beyond)
            return
        partition, offset = source
        floors = self._floors.get(where)
        if floors is not None:
            floors.setdefault(partition, offset)
        last = self._last.setdefault(where, {})
        before = last.get(partition, -1)
        if not (self._exactly_once or offset >= before) and _is_late_refusal(role, raw.headers):
            before = -1  # found too large in a replay, when later messages had their outcome
        else:
            last[partition] = offset
        ledger = self._ledgers.get(partition)
        number = None if ledger is None else ledger.find(offset)
        if ledger is not None and number is not None:
            self._judge(ledger, number, source, before, role, raw, has_own_time)
        elif contain(self._ranges, source) and not self._may_be_removed(source):
            self._add(Kind.INVENTED, source, raw, "no input stands there")

    def finish(self) -> Findings:
        """What was found, once everything was noted."""
        self._found.inputs = sum(map(len, self._ledgers.values()))
        for where, offsets in self._unnamed.items():
            first, last = offsets[0], offsets[-1]
            self._found.unsaid.append(Unsaid(Reason.UNNAMED, where, first, last + 1))
        for partition, ledger in self._ledgers.items():
            bound = max((one.get(partition, _NEVER) for one in self._floors.values()), default=0)
            if self._any_may_be_gone:
                bound = _NEVER
            for offset in ledger.without_outcome():
                if offset < bound:
                    self._found.unsaid_inputs += 1
                else:
                    source = Position(partition, offset)
                    self._found.add(Finding(Kind.LOST, source, None, "it has no outcome"))
        return self._found

    def _judge(
        self,
        ledger: Ledger,
        number: int,
        source: Position,
        before: int,
        role: Role,
        raw: RawMessage,
        has_own_time: bool,
    ) -> None:
        if role is Role.OUTPUT:
            changes = ledger.changes_in_output(number, raw, has_own_time)
        else:
            changes = ledger.changes_in_dead_letter(number, raw, has_own_time)
        if changes:
            self._add(Kind.ALTERED, source, raw, f"changed: {', '.join(changes)}")
        times = ledger.count_outcome(number)
        if times > 1:
            self._add(Kind.DOUBLED, source, raw, f"outcome number {times} of the same input")
            return
        if source.offset < before:
            self._add(Kind.REORDERED, source, raw, f"it comes after the outcome of offset {before}")
        if role is Role.DEAD_LETTERS:
            code = dict(raw.headers).get(f"{ERRORS}code") or b""
            self._found.dead_letters[_CODES.get(code, "unknown")] += 1
        elif raw.value is None:
            self._found.tombstones += 1
        else:
            self._found.enriched += 1

    def _may_be_removed(self, source: Position) -> bool:
        return source.topic_partition.topic in self._compacted or any(
            partition == source.topic_partition and removed.start <= source.offset < removed.end
            for partition, removed in self._removed_inputs
        )

    def _beyond(self, source: Position) -> str:
        """Why no input can stand there; empty where one can."""
        partition, offset = source
        end = self._ends.get(partition)
        if end is None:
            is_ours = partition.topic in self._topics
            return "the topic has no such partition" if is_ours else ""
        return "" if offset < end else f"the partition ends at offset {end}"

    def _note_unnamed(self, position: Position) -> None:
        self._floors[position.topic_partition] = {}
        ends = self._unnamed.setdefault(position.topic_partition, [])
        ends[1:] = [position.offset]

    def _add(self, kind: Kind, source: Position, raw: RawMessage, said: str) -> None:
        self._found.add(Finding(kind, source, raw.position, said))


def _is_late_refusal(role: Role, headers: Headers) -> bool:
    stage = dict(headers).get(f"{ERRORS}stage")
    return role is Role.DEAD_LETTERS and stage == RejectStage.PUBLISH.value.encode()


def _spelled(position: Position | None) -> str:
    return "no input" if position is None else str(position)
