"""Search: which offsets are read to find messages and their outcomes, and in which order.

Outcomes carry the timestamps of their inputs, so the offset that the brokers name for that time is
not behind the outcome. Where a topic has the broker's times, and clocks differ, it may be; so what
is not found from there on is looked for before it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from consumer.audit.audit import Role
from consumer.audit.fate import Absence, Fate, Fates, OutcomeKind
from consumer.commands.topic_places import TopicPlaces
from consumer.contracts.errors import KafkaProblem, RejectedMessage, SettingsError
from consumer.contracts.headers import is_replay_mark, source_in, told_origin
from consumer.contracts.messages import (
    Article,
    Position,
    RawMessage,
    Tombstone,
    TopicPartition,
    Unchanged,
    Untagged,
)
from consumer.dead_letters.marks import Origin, Sent
from consumer.settings.schema import Settings
from consumer.settings.topic_patterns import takes_in

#: Offsets from a first one to another, which is not one of them.
Spans: TypeAlias = Mapping[TopicPartition, tuple[int, int]]

#: Called with the offsets that are read so far, and those that are to be read.
Move: TypeAlias = Callable[[int, int], None]


class Broker(TopicPlaces, Protocol):
    """The same, and which cluster it is of."""

    def cluster_id(self) -> str: ...


class Taken(Protocol):
    """What one look has brought, as `consumer.kafka.tools.ranges.Taken`."""

    messages: list[tuple[RawMessage, bool]]
    removed: list[tuple[TopicPartition, int, int]]
    held: list[tuple[TopicPartition, int, int]]
    done: int


class Reader(Protocol):
    """What `RangeReader` does."""

    def read(self, ranges: Spans) -> Iterator[Taken]: ...


class Decoder(Protocol):
    """What the codec says of messages."""

    def decode(self, raw: RawMessage) -> Article | Untagged | Unchanged | Tombstone: ...

    def told_in(self, value: bytes) -> Mapping[str, Any]: ...


class Search:
    """Looks for messages. Reads under `read_committed` and writes nothing.

    Args:
        broker, reader: of the brokers.
        settings: the worker's: topics and group.
        decoder: reads inputs; outputs: reads outputs.
        move: hears how far it is.
        finds_all: read on to the end, for further outcomes of a message that has one.
    """

    def __init__(
        self,
        broker: Broker,
        reader: Reader,
        settings: Settings,
        decoder: Decoder,
        outputs: Decoder,
        move: Move = lambda _done, _total: None,
        *,
        finds_all: bool = False,
    ) -> None:
        self._broker = broker
        self._reader = reader
        self._settings = settings
        self._decoder = decoder
        self._outputs = outputs
        self._move = move
        self._finds_all = finds_all
        #: Topics of outcomes.
        self._roles = {
            settings.output_topic: Role.OUTPUT,
            settings.dead_letter_topic: Role.DEAD_LETTERS,
        }

    def inputs_of(self, places: Sequence[Position]) -> list[Position]:
        """Where the inputs stand that these places mean: themselves, or, for a place in the output
        or among the dead letters, what stands there names its input.

        Raises:
            SettingsError: a topic is none of the worker's, or has no such partition.
            KafkaProblem: no outcome stands at such a place.
        """
        return list(dict.fromkeys(map(self._input_of, places)))

    def named(self, wanted: str, begin_ms: int | None, until_ms: int | None) -> list[Position]:
        """The inputs whose article has this id, or whose key is it, in the order of their times.

        Args:
            begin_ms, until_ms: from the first message of that time or later to the first of the
                other; None is the beginning and the present end.
        """
        partitions = self._partitions(self._settings.input_topics, "input_topics")
        starts, ends = self._broker.starts(partitions), self._broker.ends(partitions)
        first = starts if begin_ms is None else self._broker.at(partitions, begin_ms)
        last = ends if until_ms is None else self._broker.at(partitions, until_ms)
        spans = {one: (max(starts[one], first[one]), last[one]) for one in partitions}
        key = wanted.encode()
        found: list[RawMessage] = []
        for taken in self._read(spans):
            for raw, _ in taken.messages:
                if raw.key == key or self._has_id(raw, wanted, key):
                    found.append(raw)
        found.sort(key=lambda raw: (raw.timestamp_ms or 0, raw.position))
        return [raw.position for raw in found]

    def fates(self, positions: Sequence[Position]) -> Sequence[Fate]:
        """What became of these inputs, in the order given."""
        fates = Fates(positions, self._outputs.told_in)
        if not positions:
            return ()
        partitions = list(dict.fromkeys(one.topic_partition for one in positions))
        # First: what was committed by now is in the log by the time at which its end is asked for.
        committed = self._broker.committed(partitions)
        self._read_inputs(fates, partitions, committed)
        self._read_outcomes(fates)
        self._read_marks(fates)
        return list(fates.all)

    def _input_of(self, place: Position) -> Position:
        topic, part = place.topic_partition
        role = self._roles.get(topic)
        settings = self._settings
        if role is None and not any(takes_in(entry, topic) for entry in settings.input_topics):
            ours = (*settings.input_topics, settings.output_topic, settings.dead_letter_topic)
            raise SettingsError(
                "PLACE",
                f"{topic} is no topic of these settings",
                f"they name {', '.join(ours)}; give those of the worker with --config or flags",
            )
        count = len(self._broker.topics((topic,), "PLACE")[topic])
        if part >= count:
            raise SettingsError(
                "PLACE",
                f"{topic} has no partition {part}",
                f"it has {count}, counted from 0",
            )
        if role is None:
            return place
        messages = self._at(place)
        source = None
        if messages:
            source = source_in(messages[0].headers) or told_origin(messages[0].headers)
        if source is None:
            what = "names no input" if messages else "is not there"
            raise KafkaProblem(
                f"the message at {topic}/{part}/{place.offset} {what}; name a place of the input"
            )
        return source

    def _at(self, place: Position) -> list[RawMessage]:
        partition, offset = place
        start, end = self._broker.starts([partition]), self._broker.ends([partition])
        if not start[partition] <= offset < end[partition]:
            return []
        spans = {partition: (offset, offset + 1)}
        return [raw for taken in self._read(spans) for raw, _ in taken.messages]

    def _has_id(self, raw: RawMessage, wanted: str, needle: bytes) -> bool:
        value = raw.value
        # Few hold these bytes; and where an id may be spelled with escapes, any may.
        if value is None or (needle not in value and b"\\" not in value):
            return False
        try:
            decoded = self._decoder.decode(raw)
        except RejectedMessage:
            return False
        if isinstance(decoded, Untagged):
            decoded = decoded.article
        return isinstance(decoded, Article) and decoded.id == wanted

    def _read_inputs(
        self,
        fates: Fates,
        partitions: Collection[TopicPartition],
        committed: Mapping[TopicPartition, int],
    ) -> None:
        starts, ends = self._broker.starts(partitions), self._broker.ends(partitions)
        spans: dict[TopicPartition, tuple[int, int]] = {}
        for fate in fates.all:
            partition, offset = fate.position
            fate.committed = committed.get(partition)
            if offset < starts[partition]:
                fate.absence = Absence.REMOVED
            elif offset >= ends[partition]:
                fate.absence = Absence.TO_COME
            else:
                fate.absence = Absence.NOT_A_MESSAGE
                first, last = spans.get(partition, (offset, offset + 1))
                spans[partition] = (min(first, offset), max(last, offset + 1))
        held: list[tuple[TopicPartition, int, int]] = []
        for taken in self._read(spans):
            for raw, has_own_time in taken.messages:
                fates.note_input(raw, has_own_time)
            held += taken.held
        for fate in fates.all:
            if fate.message is not None:
                fate.absence = None
                fate.id = self._id_of(fate.message)
            elif _within(fate.position, held):
                fate.absence = Absence.HELD

    def _id_of(self, raw: RawMessage) -> str:
        try:
            decoded = self._decoder.decode(raw)
        except RejectedMessage:
            return ""
        if isinstance(decoded, Untagged):
            decoded = decoded.article
        return decoded.id if isinstance(decoded, Article) else ""

    def _read_outcomes(self, fates: Fates) -> None:
        partitions: list[TopicPartition] = []
        for setting in ("output_topic", "dead_letter_topic"):
            partitions += self._partitions((getattr(self._settings, setting),), setting)
        starts, ends = self._broker.starts(partitions), self._broker.ends(partitions)
        first = self._first_outcomes(fates, partitions, starts)
        behind = {one: (first[one], ends[one]) for one in partitions}
        before = {one: (starts[one], first[one]) for one in partitions}
        held = self._note_outcomes(fates, behind)
        if not fates.are_done and any(fate.behind == 0 for fate in fates.all if not fate.outcomes):
            held += self._note_outcomes(fates, before)
        compacted = self._broker.compacted(self._roles)
        is_partial = bool(held or compacted) or any(starts[one] > 0 for one in partitions)
        for fate in fates.all:
            fate.may_be_gone = is_partial

    def _first_outcomes(
        self,
        fates: Fates,
        partitions: Collection[TopicPartition],
        starts: Mapping[TopicPartition, int],
    ) -> Mapping[TopicPartition, int]:
        times = [
            None if fate.message is None else fate.message.timestamp_ms
            for fate in fates.all
            if fate.absence is None or fate.absence is Absence.REMOVED
        ]
        known = [time for time in times if time is not None and time > 0]
        if len(known) < len(times) or not known:
            return starts
        found = self._broker.at(partitions, min(known))
        return {one: max(found[one], starts[one]) for one in partitions}

    def _note_outcomes(self, fates: Fates, spans: Spans) -> list[tuple[TopicPartition, int, int]]:
        held: list[tuple[TopicPartition, int, int]] = []
        for taken in self._read(spans):
            for raw, has_own_time in taken.messages:
                fates.note_outcome(
                    self._roles[raw.position.topic_partition.topic], raw, has_own_time
                )
            held += taken.held
            if fates.are_done and not self._finds_all:
                break
        return held

    def _read_marks(self, fates: Fates) -> None:
        """Whether dead letters were sent back: what stands behind them in their partitions says
        so."""
        letters = [
            (fate, number, outcome)
            for fate in fates.all
            for number, outcome in enumerate(fate.outcomes)
            if outcome.kind is OutcomeKind.DEAD_LETTER
        ]
        spans: dict[TopicPartition, tuple[int, int]] = {}
        ends = self._broker.ends({outcome.position.topic_partition for _, _, outcome in letters})
        for _, _, outcome in letters:
            partition, offset = outcome.position
            begin, _ = spans.get(partition, (offset + 1, 0))
            spans[partition] = (min(begin, offset + 1), ends[partition])
        sent = Sent(Origin(self._broker.cluster_id(), self._settings.dead_letter_topic))
        for taken in self._read(spans):
            for raw, _ in taken.messages:
                if is_replay_mark(raw.headers):
                    sent.read(raw)
        for fate, number, outcome in letters:
            partition, offset = outcome.position
            to = sent.destinations(partition.partition, offset)
            fate.outcomes[number] = replace(outcome, sent_to=to)

    def _partitions(self, topics: Sequence[str], setting: str) -> list[TopicPartition]:
        found = self._broker.topics(topics, setting)
        return [TopicPartition(topic, part) for topic, parts in found.items() for part in parts]

    def _read(self, spans: Spans) -> Iterator[Taken]:
        spans = {one: (start, end) for one, (start, end) in spans.items() if start < end}
        total = sum(end - start for start, end in spans.values())
        if not total:
            return
        for taken in self._reader.read(spans):
            self._move(taken.done, total)
            yield taken


def _within(position: Position, stretches: Collection[tuple[TopicPartition, int, int]]) -> bool:
    return any(
        position.topic_partition == partition and start <= position.offset < end
        for partition, start, end in stretches
    )
