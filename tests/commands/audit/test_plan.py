"""Plan: which offsets are read, by where the audit begins and ends, and what is gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from consumer.audit.audit import Role
from consumer.audit.findings import Reason, Unsaid
from consumer.audit.ranges import Range
from consumer.commands.audit.plan import Plan, plan_of
from consumer.commands.audit.points import Point, point
from consumer.contracts.errors import KafkaProblem, SettingsError
from consumer.contracts.messages import TopicPartition
from consumer.settings.schema import Settings

A0, A1 = TopicPartition("articles", 0), TopicPartition("articles", 1)
OUT, DEAD = TopicPartition("articles-tagged", 0), TopicPartition("articles-dead-letters", 0)


@dataclass
class FakePlaces:
    """Two partitions of input, one of each output; it writes down what it is asked."""

    ranges: dict[TopicPartition, tuple[int, int]]
    group: dict[TopicPartition, int]
    compact: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def topics(self, entries: Sequence[str], setting: str) -> Mapping[str, Sequence[int]]:
        assert setting in ("input_topics", "output_topic", "dead_letter_topic")
        found: dict[str, list[int]] = {}
        for one in self.ranges:
            if one.topic in entries:
                found.setdefault(one.topic, []).append(one.partition)
        return found

    def starts(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {one: self.ranges[one][0] for one in partitions}

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.asked.append("ends of " + next(iter(partitions)).topic)
        return {one: self.ranges[one][1] for one in partitions}

    def at(
        self, partitions: Collection[TopicPartition], time_ms: int
    ) -> Mapping[TopicPartition, int]:
        return {one: min(time_ms // 1_000, self.ranges[one][1]) for one in partitions}

    def committed(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.asked.append("committed")
        return {one: self.group[one] for one in partitions if one in self.group}

    def compacted(self, topics: Collection[str]) -> frozenset[str]:
        return self.compact & frozenset(topics)


def places() -> FakePlaces:
    ranges = {A0: (0, 100), A1: (0, 50), OUT: (0, 160), DEAD: (0, 7)}
    return FakePlaces(ranges, {A0: 90, A1: 50})


def plan(broker: FakePlaces, begin: str = "earliest", until: str = "committed") -> Plan:
    return plan_of(broker, Settings(), point(begin), point(until))


def test_by_default_all_that_the_group_has_committed() -> None:
    broker = places()
    found = plan(broker)
    assert found.inputs == {A0: Range(0, 90), A1: Range(0, 50)}
    assert found.outcomes == {OUT: Range(0, 160), DEAD: Range(0, 7)}
    assert found.roles == {OUT.topic: Role.OUTPUT, DEAD.topic: Role.DEAD_LETTERS}
    assert (found.gone_inputs, found.gone_outcomes) == ([], [])
    # What is committed has its outcomes in the log by then, and not the other way round.
    # And what an outcome is of was in the input before it.
    assert broker.asked == [
        "ends of articles",
        "committed",
        "ends of articles-tagged",
        "ends of articles",
    ]
    assert found.ends == {A0: 100, A1: 50}


@pytest.mark.parametrize(
    ("begin", "until", "expected"),
    [
        ("earliest", "latest", {A0: Range(0, 100), A1: Range(0, 50)}),
        ("committed", "latest", {A0: Range(90, 100)}),
        ("articles:0:10", "committed", {A0: Range(10, 90), A1: Range(0, 50)}),
        ("earliest", "articles:1:20", {A0: Range(0, 90), A1: Range(0, 20)}),
        # The same offset twice is a stretch of nothing: no message has come since.
        ("articles:0:20", "articles:0:20", {A1: Range(0, 50)}),
        ("committed", "articles:0:90", {}),
    ],
)
def test_points(begin: str, until: str, expected: dict[TopicPartition, Range]) -> None:
    assert plan(places(), begin, until).inputs == expected


def test_times() -> None:
    found = plan_of(places(), Settings(), Point(time_ms=20_000), Point(time_ms=60_000))
    assert found.inputs == {A0: Range(20, 60), A1: Range(20, 50)}


@pytest.mark.parametrize(
    ("begin", "until", "said"),
    [
        (
            "latest",
            "committed",
            "--from: articles:0 begins at offset 100, behind the end of the gr",
        ),
        ("latest", "earliest", "--from: articles:0 begins at offset 100, behind the end, 0; write"),
        ("articles:0:15", "articles:0:5", "--from: articles:0 begins at offset 15, behind the end"),
        ("committed", "articles:0:5", "--from: articles:0 begins at offset 90, behind the end, 5;"),
        ("articles:0:95", "committed", "articles:0 begins at offset 95, behind the end of the gro"),
        ("committed", "committed", "--from: the inputs end at committed too, so there is nothing"),
        ("2026-11-29", "2026-11-28", "--until: 2026-11-28T00:00:00.000Z is not after --from, whi"),
        ("2026-11-29", "2026-11-29T00:00", "is not after --from, which is 2026-11-29T00:00:00.00"),
    ],
)
def test_inputs_that_end_before_they_begin_are_refused(begin: str, until: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        plan(places(), begin, until)
    assert said in str(raised.value)


def test_of_a_time_the_group_may_be_short_in_some_partitions_but_not_in_all() -> None:
    broker = places()
    found = plan_of(broker, Settings(), Point(time_ms=40_000), point("committed"))
    broker.group[A0] = 30
    assert found.inputs == {A0: Range(40, 90), A1: Range(40, 50)}
    found = plan_of(broker, Settings(), Point(time_ms=40_000), point("committed"))
    assert found.inputs == {A1: Range(40, 50)}
    with pytest.raises(SettingsError, match="begins at offset 40, behind the end, 20;"):
        plan_of(broker, Settings(), Point(time_ms=40_000), point("articles:0:20"))
    broker.group[A1] = 40
    with pytest.raises(
        SettingsError, match="begins at offset 40, behind the end of the group nerst"
    ):
        plan_of(broker, Settings(), Point(time_ms=40_000), point("committed"))


def test_the_group_is_not_asked_where_it_does_not_matter() -> None:
    """To read its offsets is a right of its own."""
    broker = places()
    plan(broker, until="latest")
    assert "committed" not in broker.asked


def test_what_is_gone_is_told() -> None:
    broker = places()
    broker.ranges.update({A0: (30, 100), OUT: (5, 160)})
    found = plan(broker)
    assert found.inputs[A0] == Range(30, 90)
    assert found.gone_inputs == [Unsaid(Reason.REMOVED, A0, 0, 30)]
    assert found.gone_outcomes == [Unsaid(Reason.REMOVED, OUT, 0, 5)]
    assert plan(broker, begin="articles:0:40").gone_inputs == []
    assert plan(broker, begin="articles:0:25").gone_inputs == [Unsaid(Reason.REMOVED, A0, 25, 30)]


def test_all_that_was_committed_may_be_gone() -> None:
    broker = places()
    broker.ranges[A0] = (95, 100)
    found = plan(broker)
    assert A0 not in found.inputs
    assert found.gone_inputs == [Unsaid(Reason.REMOVED, A0, 0, 90)]


def test_outcomes_that_are_passed_over_are_told() -> None:
    broker = places()
    broker.ranges[OUT] = (5, 160)
    found = plan_of(
        broker, Settings(), point("earliest"), point("latest"), point("articles-tagged:0:100")
    )
    assert found.outcomes == {OUT: Range(100, 160), DEAD: Range(0, 7)}
    assert found.gone_outcomes == [
        Unsaid(Reason.REMOVED, OUT, 0, 5),
        Unsaid(Reason.SKIPPED, OUT, 5, 100),
    ]
    with pytest.raises(SettingsError, match=r"--outcomes-from: articles:0 is no partition of the"):
        plan_of(broker, Settings(), point("earliest"), point("latest"), point("articles:0:1"))


def test_compaction_is_told() -> None:
    broker = places()
    broker.compact = frozenset({A0.topic, OUT.topic})
    found = plan(broker)
    assert found.compacted == {A0.topic}
    assert found.gone_inputs == [
        Unsaid(Reason.COMPACTED, A0, 0, 90),
        Unsaid(Reason.COMPACTED, A1, 0, 50),
    ]
    assert found.gone_outcomes == [Unsaid(Reason.COMPACTED, OUT, 0, 160)]


def test_a_partition_without_a_commit_is_told() -> None:
    broker = places()
    del broker.group[A1]
    found = plan(broker)
    assert found.inputs == {A0: Range(0, 90)}
    assert found.gone_inputs == [Unsaid(Reason.UNCOMMITTED, A1, 0, 50)]


def test_a_group_that_has_committed_nothing_is_another_one() -> None:
    broker = places()
    broker.group.clear()
    with pytest.raises(KafkaProblem, match="group nerstream has committed nothing in articles;"):
        plan(broker)
    with pytest.raises(KafkaProblem, match="with --group-id, or a beginning with --from"):
        plan(broker, begin="committed", until="latest")
    # Those that are not named keep the default.
    with pytest.raises(KafkaProblem, match="with --group-id, or an end with --until"):
        plan(broker, until="articles:0:5")
    assert plan(broker, until="articles:0:5,articles:1:6").inputs[A1] == Range(0, 6)
    # Retention has taken all.
    broker.ranges.update({A0: (4, 4), A1: (0, 0)})
    with pytest.raises(KafkaProblem, match="group nerstream has committed nothing in articles;"):
        plan(broker)
    # Nothing was ever written.
    broker.ranges.update({A0: (0, 0)})
    assert plan(broker).inputs == {}


def test_points_that_are_not_there() -> None:
    with pytest.raises(SettingsError, match=r"--until: articles:0 ends at offset 100, before 101;"):
        plan(places(), until="articles:0:101")
    with pytest.raises(SettingsError, match=r"--from: else:0 is no partition of the input;"):
        plan(places(), begin="else:0:1")


def test_a_wrong_argument_is_told_before_the_group_is_asked() -> None:
    broker = places()
    broker.group.clear()
    with pytest.raises(SettingsError, match=r"--until: articles:0 ends at offset 100, before 101;"):
        plan(broker, until="articles:0:101")


def test_a_group_that_stands_behind_the_end_of_a_cut_log() -> None:
    broker = places()
    broker.group[A0] = 500
    assert plan(broker).inputs[A0] == Range(0, 100)
