"""The invariants of a fault run, checked from what is in Kafka alone.

What is lost, doubled, out of order or altered is found by the core of `nerstream audit`. What more
a run knows, the right outcome of each message and the offsets that were committed meanwhile, is
held against it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from consumer.audit.audit import Audit, Role
from consumer.audit.findings import Finding, Findings, Kind
from consumer.audit.ranges import Range
from consumer.contracts.headers import ERRORS, source_in, with_source
from consumer.contracts.messages import Position, RawMessage, TopicPartition
from tests.faults.checker.watcher import Sample, Seen
from tests.faults.feeding import inputs
from tests.faults.feeding.feed import Feed
from tests.faults.workers.light_tagger import INFO, model_of
from tests.integration.rigs.helpers import Record

#: Violations that are told of each kind; the rest are counted.
_TOLD = 5


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Kafka held when all workers had ended.

    Attributes:
        count: messages that were fed.
        feed: what they were, and where they were written.
        positions: of each of them, but for those of `may_skip` that stand nowhere.
        outputs, letters: topic names of the enriched messages and of the dead letters.
        seen: outcomes as the reader saw them during the run, in the order of each partition.
        records: the same topics read anew in the end, `read_committed`, by topic.
        samples: looks at the committed offsets during the run.
        committed: the group's offsets in the end; ends: those of the input topics.
        open_transactions: for each output topic, messages beyond the last stable offset.
        exactly_once: whether no input may have two outcomes.
        may_skip: inputs that may lack an outcome, since they were removed unread.
        gone_with: for each time that the input topics were made again, the inputs that went with
            the old ones.
        copies: places at which an input stands once more. The client of the feed may write one
            twice around a kill of its only broker; `nerstream audit` judges their outcomes.
        may_be_too_large: whether a long article may be a dead letter instead.
        two_models: whether the workers had two models.
    """

    count: int
    feed: Feed
    positions: Mapping[int, Position]
    outputs: str
    letters: str
    seen: Sequence[Seen]
    records: Mapping[str, Sequence[Record]]
    samples: Sequence[Sample]
    committed: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    open_transactions: Mapping[str, int]
    exactly_once: bool = True
    may_skip: frozenset[int] = frozenset()
    gone_with: tuple[frozenset[int], ...] = ()
    copies: frozenset[Position] = frozenset()
    may_be_too_large: bool = False
    two_models: bool = False


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


#: What the core of `nerstream audit` finds, as the matrix calls it.
_KINDS = {
    Kind.LOST: "lost",
    Kind.DOUBLED: "doubled",
    Kind.REORDERED: "out of order",
    Kind.ALTERED: "altered",
    Kind.INVENTED: "invented",
}


def check(evidence: Evidence) -> Verdict:
    """Hold the evidence against every invariant."""
    order = _order(evidence)
    audited = _audited(evidence, order)
    found: dict[str, list[str]] = {name: [] for name in _KINDS.values()}
    for kind, name in _KINDS.items():
        if kind is not Kind.DOUBLED or evidence.exactly_once:
            found[name] += [_told(one, order) for one in audited.kept.get(kind, ())]
    numbers = {one.number for one in evidence.seen}
    found["invented"] += [
        f"an outcome of message {n}" for n in sorted(numbers) if not 0 <= n < evidence.count
    ]
    found |= {
        # Nothing is ever gone from these topics, and all that is in them names its input.
        "foreign": [f"{_named(one.topic_partition)}@{one.offset}" for one in audited.kept_foreign],
        "cannot be said": [f"{one.reason} in {_named(one.partition)}" for one in audited.unsaid],
        "committed too far": list(_committed_too_far(evidence)),
        "wrong outcome": list(_wrong(evidence)),
        "left open": [
            f"{count} messages of {topic} behind an open transaction"
            for topic, count in evidence.open_transactions.items()
            if count
        ],
        "not committed": not_committed(evidence.committed, evidence.ends),
        "taken back": list(_taken_back(evidence)),
    }
    counts = audited.counts
    return Verdict(counts[Kind.LOST], counts[Kind.DOUBLED], tuple(_lines(found)))


def _order(evidence: Evidence) -> Sequence[int]:
    """The numbers of the inputs, in the order in which each partition has them.

    That of the numbers, as one producer writes them; but where a topic was made again under it, the
    client has been seen to write what was under way after what came later.
    """
    if not evidence.gone_with:
        return range(evidence.count)

    def place(number: int) -> tuple[int, int]:
        made_again = sum(number not in gone for gone in evidence.gone_with)
        at = evidence.positions.get(number)
        return made_again, -1 if at is None else at.offset

    return sorted(range(evidence.count), key=place)


def _audited(evidence: Evidence, order: Sequence[int]) -> Findings:
    """What the core of `nerstream audit` finds in what the reader saw.

    A message stands at its place in `order` here: a topic that is made again gives its offsets
    twice.
    """
    ranks = {number: rank for rank, number in enumerate(order)}
    answered = {one.number for one in evidence.seen}
    feed = evidence.feed
    audit = Audit(
        {partition: Range(0, evidence.count) for partition in feed.partitions},
        feed.wire.comparison,
        exactly_once=evidence.exactly_once,
        most=evidence.count,
    )
    for rank, number in enumerate(order):
        if number not in evidence.may_skip or number in answered:
            audit.note_input(_raw(feed.record(number), Position(feed.place(number), rank)))
    for one in _of_originals(evidence):
        if 0 <= one.number < evidence.count:
            role = Role.DEAD_LETTERS if one.topic == evidence.letters else Role.OUTPUT
            audit.note_outcome(role, _as_ranked(evidence, one, ranks[one.number]))
    return audit.finish()


def _as_ranked(evidence: Evidence, one: Seen, rank: int) -> RawMessage:
    """An outcome that names its input by the place that it has here, if it named the right one."""
    record, place = one.record, Position(evidence.feed.place(one.number), rank)
    right = evidence.positions[one.number]
    assert record.partition is not None
    assert record.offset is not None
    position = Position(TopicPartition(one.topic, record.partition), record.offset)
    headers = record.headers
    if source_in(headers) == right:
        headers = tuple(
            (name, str(place.offset).encode())
            if (name, value) == (f"{ERRORS}offset", str(right.offset).encode())
            else (name, value)
            for name, value in with_source(headers, place)
        )
    return _raw(replace(record, headers=headers), position)


def _raw(record: Record, position: Position) -> RawMessage:
    return RawMessage(position, record.key, record.value, record.headers, record.timestamp_ms, 0)


def _told(finding: Finding, order: Sequence[int]) -> str:
    where = ""
    if finding.outcome is not None:
        (topic, partition), offset = finding.outcome
        where = f" in {topic}[{partition}]@{offset}"
    # One that names a wrong input may name one that is not there.
    rank = finding.input.offset
    return f"message {order[rank] if rank < len(order) else rank}{where}: {finding.said}"


def _lines(found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for kind, problems in found.items():
        for problem in problems[:_TOLD]:
            yield f"{kind}: {problem}"
        if len(problems) > _TOLD:
            yield f"{kind}: and {len(problems) - _TOLD} more"


def _committed_too_far(evidence: Evidence) -> Iterator[str]:
    """An input before a committed offset must have its outcome in the log by then."""
    first: dict[int, tuple[str, int, int]] = {}
    for one in evidence.seen:
        assert one.record.partition is not None
        assert one.record.offset is not None
        first.setdefault(one.number, (one.topic, one.record.partition, one.record.offset))
    by_position = {position: n for n, position in evidence.positions.items()}
    resolved = dict.fromkeys(evidence.feed.partitions, 0)
    for sample in evidence.samples:
        for partition, offset in sample.committed.items():
            for before in range(resolved[partition], offset):
                number = by_position.get(Position(partition, before))
                if number is None or number in evidence.may_skip:
                    continue
                outcome = first.get(number)
                if outcome is None or outcome[2] >= sample.ends[outcome[0]][outcome[1]]:
                    place = f"offset {offset} of {_named(partition)}"
                    yield f"{place} before message {number} was resolved"
            resolved[partition] = max(resolved[partition], offset)


def _of_originals(evidence: Evidence) -> Iterator[Seen]:
    """The outcomes but for those of copies."""
    for one in evidence.seen:
        if source_in(one.record.headers) not in evidence.copies:
            yield one


def copies(
    seen: Iterable[Seen],
    positions: Mapping[int, Position],
    inputs_now: Callable[[], Iterable[tuple[int, Position]]],
) -> frozenset[Position]:
    """Where an input stands once more, of those that an outcome names as its input.

    Args:
        positions: where each stands by the word of the client that wrote it.
        inputs_now: the number of each input and where it stands; asked only where an outcome names
            another place than that.
    """
    elsewhere = {
        (one.number, source)
        for one in seen
        if (source := source_in(one.record.headers)) and source != positions.get(one.number)
    }
    if not elsewhere:
        return frozenset()
    stands = set(inputs_now())
    # What does not stand where it was written by that word was removed, or went with its topic.
    return frozenset(
        source
        for number, source in elsewhere
        if (number, source) in stands and (number, positions.get(number)) in stands
    )


def _wrong(evidence: Evidence) -> Iterator[str]:
    for one in _of_originals(evidence):
        right = evidence.feed.wire.expected(one.number)
        problem = (
            _wrong_letter(evidence, one, right.rejected)
            if one.topic == evidence.letters
            else _wrong_output(evidence, one, right)
        )
        if problem is None and one.record.partition != evidence.feed.output_partition(one.number):
            problem = f"in {one.topic}[{one.record.partition}], another partition than its place"
        if problem:
            yield f"message {one.number}: {problem}"


def _wrong_letter(evidence: Evidence, one: Seen, code: str | None) -> str | None:
    headers = dict(one.record.headers)
    if code is None and evidence.may_be_too_large and evidence.feed.wire.is_long(one.number):
        code = "too_large"
    if code is None:
        return "a good message is a dead letter"
    (topic, partition), offset = evidence.positions[one.number]
    told = [headers.get(ERRORS + name) for name in ("code", "topic", "partition", "offset")]
    if told != [str(text).encode() for text in (code, topic, partition, offset)]:
        return f"a dead letter that tells {told}"
    return None


def _wrong_output(evidence: Evidence, one: Seen, expected: inputs.Expected) -> str | None:
    if expected.rejected is not None:
        return f"enriched, though it is {expected.rejected}"
    value, wire = one.record.value, evidence.feed.wire
    if value is None or wire.record(one.number).value is None:
        return None  # a null value that came or went is told already
    document = wire.read(value)
    entities, tagging = document.get("entities"), document.get("tagging", {})
    model = model_of(document["id"]) if evidence.two_models else INFO
    if tagging.get("model") != model.name:
        return f"tagged by {tagging.get('model')}"
    assert expected.entities is not None
    (kind,) = model.types
    if entities != [entity._replace(type=kind)._asdict() for entity in expected.entities]:
        return f"entities {entities}"
    for entity in entities:
        if document[entity["field"]][entity["start"] : entity["end"]] != entity["text"]:
            return f"the offsets of {entity}"
    return None


def not_committed(
    committed: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> list[str]:
    """Partitions in which the group does not stand at the end."""
    return [
        f"{_named(partition)} stands at {committed.get(partition)}, its end is {end}"
        for partition, end in ends.items()
        if end and committed.get(partition) != end
    ]


def _named(partition: TopicPartition) -> str:
    return f"{partition.topic}[{partition.partition}]"


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
