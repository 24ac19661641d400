"""Plan: which offsets are read, of the inputs and of their outcomes, and what is gone already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumer.audit.audit import Role
from consumer.audit.findings import Reason, Unsaid
from consumer.audit.ranges import Range
from consumer.commands.audit.points import Named, Point
from consumer.commands.times import written
from consumer.commands.topic_places import TopicPlaces
from consumer.contracts.errors import KafkaProblem, SettingsError
from consumer.contracts.messages import TopicPartition
from consumer.settings.schema import Settings

#: Where outcomes begin unless a person says otherwise.
EARLIEST = Point(named=Named.EARLIEST)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an audit reads.

    Attributes:
        inputs: the inputs that it is about.
        outcomes: the output and the dead letters, from their beginning to their present end.
        roles: of the topics of outcomes.
        gone_inputs: what is gone of the inputs, or was never committed, before anything is read.
        gone_outcomes: what is gone of the outcomes.
        compacted: input topics that keep the newest message of a key only.
        ends: where each partition of the input ends, asked for after the ends of the outcomes:
            what an outcome is of was there before it.
    """

    inputs: Mapping[TopicPartition, Range]
    outcomes: Mapping[TopicPartition, Range]
    roles: Mapping[str, Role]
    gone_inputs: Sequence[Unsaid]
    gone_outcomes: Sequence[Unsaid]
    compacted: frozenset[str]
    ends: Mapping[TopicPartition, int]


def plan_of(
    broker: TopicPlaces,
    settings: Settings,
    begin: Point,
    until: Point,
    outcomes_from: Point = EARLIEST,
) -> Plan:
    """Ask the brokers what there is.

    Raises:
        SettingsError: a point names a partition or an offset that is not there, or the inputs end
            before they begin.
        KafkaProblem: the group has committed nothing, or the brokers do not answer.
    """
    _check_words(begin, until)
    inputs = _partitions(broker.topics(settings.input_topics, "input_topics"))
    starts, ends = broker.starts(inputs), broker.ends(inputs)
    gone: list[Unsaid] = []
    group = settings.group_id
    firsts = _points(broker, begin, "--from", Named.EARLIEST, ends, "input", group)
    # Before the ends of the outcomes: what was committed by then is in the log by then.
    lasts = _points(broker, until, "--until", Named.COMMITTED, ends, "input", group)
    ranges = {}
    for one in inputs:
        first = firsts.get(one, starts[one])
        last = min(lasts.get(one, first), ends[one])
        if one not in lasts and ends[one] > max(first, starts[one]):
            gone.append(Unsaid(Reason.UNCOMMITTED, one, max(first, starts[one]), ends[one]))
        if first < min(last, starts[one]):
            gone.append(Unsaid(Reason.REMOVED, one, first, min(last, starts[one])))
        if max(first, starts[one]) < last:
            ranges[one] = Range(max(first, starts[one]), last)
    upside_down = {
        one: (firsts[one], last) for one, last in lasts.items() if firsts.get(one, 0) > last
    }
    if ranges:
        # Of a time a group may be short in some partitions; what is named must be there to audit.
        by_name = {*begin.offsets, *until.offsets}
        upside_down = {one: span for one, span in upside_down.items() if one in by_name}
    for one, (first, last) in sorted(upside_down.items()):
        is_committed = until.named in (None, Named.COMMITTED) and until.time_ms is None
        whose = f" of the group {group}" if is_committed and one not in until.offsets else ""
        raise SettingsError(
            "--from",
            f"{one.topic}:{one.partition} begins at offset {first}, behind the end{whose}, {last}",
            "write an earlier beginning, or a later end with --until",
        )
    compacted = broker.compacted({one.topic for one in inputs})
    gone += [
        Unsaid(Reason.COMPACTED, one, start, end)
        for one, (start, end) in ranges.items()
        if one.topic in compacted
    ]
    outcomes, gone_outcomes = _outcomes(broker, settings, outcomes_from)
    roles = {settings.output_topic: Role.OUTPUT, settings.dead_letter_topic: Role.DEAD_LETTERS}
    # Partitions and topics of a pattern may have come meanwhile, and outcomes of theirs.
    inputs = _partitions(broker.topics(settings.input_topics, "input_topics"))
    return Plan(ranges, outcomes, roles, gone, gone_outcomes, compacted, broker.ends(inputs))


def _outcomes(
    broker: TopicPlaces, settings: Settings, begin: Point
) -> tuple[dict[TopicPartition, Range], list[Unsaid]]:
    gone: list[Unsaid] = []
    partitions: list[TopicPartition] = []
    for setting in ("output_topic", "dead_letter_topic"):
        partitions += _partitions(broker.topics((getattr(settings, setting),), setting))
    starts, ends = broker.starts(partitions), broker.ends(partitions)
    compacted = broker.compacted({one.topic for one in partitions})
    group = settings.group_id
    firsts = _points(broker, begin, "--outcomes-from", Named.EARLIEST, ends, "output", group)
    for one in partitions:
        if one.topic in compacted and ends[one]:
            gone.append(Unsaid(Reason.COMPACTED, one, starts[one], ends[one]))
        elif starts[one]:
            gone.append(Unsaid(Reason.REMOVED, one, 0, starts[one]))
        if firsts[one] > starts[one]:
            gone.append(Unsaid(Reason.SKIPPED, one, starts[one], firsts[one]))
    return {one: Range(max(starts[one], firsts[one]), ends[one]) for one in partitions}, gone


def _check_words(begin: Point, until: Point) -> None:
    """What is the wrong way round whatever the topics hold."""
    if Named.COMMITTED is begin.named is until.named:
        raise SettingsError(
            "--from",
            "the inputs end at committed too, so there is nothing to audit",
            "write an earlier beginning, or a later end with --until, as latest",
        )
    if begin.time_ms is not None and until.time_ms is not None and begin.time_ms >= until.time_ms:
        raise SettingsError(
            "--until",
            f"{written(until.time_ms)} is not after --from, which is {written(begin.time_ms)}",
            "it must be later",
        )


def _partitions(topics: Mapping[str, Sequence[int]]) -> list[TopicPartition]:
    return [TopicPartition(topic, part) for topic, parts in topics.items() for part in parts]


def _points(
    broker: TopicPlaces,
    point: Point,
    argument: str,
    default: Named,
    ends: Mapping[TopicPartition, int],
    side: str,
    group: str,
) -> dict[TopicPartition, int]:
    """The offset that a point is in each partition; `default` is for those that it leaves out. The
    beginning is 0, also where it is gone."""
    if point.time_ms is not None:
        return dict(broker.at(list(ends), point.time_ms))
    for one, offset in point.offsets.items():
        name = f"{one.topic}:{one.partition}"
        if one not in ends:
            raise SettingsError(
                argument,
                f"{name} is no partition of the {side}",
                f"name one of the topics of the {side}",
            )
        if offset > ends[one]:
            raise SettingsError(
                argument,
                f"{name} ends at offset {ends[one]}, before {offset}",
                f"write an offset up to {ends[one]}",
            )
    match point.named or default:
        case Named.EARLIEST:
            found = dict.fromkeys(ends, 0)
        case Named.LATEST:
            found = dict(ends)
        case Named.COMMITTED:
            found = dict(broker.committed(list(ends)))
            # Where retention has taken all there was messages all the same.
            if not found and any(end for one, end in ends.items() if one not in point.offsets):
                which = "a beginning" if argument == "--from" else "an end"
                raise KafkaProblem(
                    f"the group {group} has committed nothing in "
                    f"{', '.join(sorted({one.topic for one in ends}))}; name the group of the "
                    f"workers with --group-id, or {which} with {argument}"
                )
    return {**found, **point.offsets}
