"""TopicWatch with brokers that answer what they are told to, and a client that keeps what it is
asked for."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException

from consumer.contracts.choices import JumpReason, OffsetReset
from consumer.contracts.errors import AbortableError, KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.rebalance import Rebalance
from consumer.kafka.source.starts import Starts
from consumer.kafka.source.topics.topic_watch import INTERVAL_S, SOON_S, TopicWatch
from consumer.kafka.source.topics.vouching import Vouching
from consumer.settings.schema import Settings
from tests.integration.rigs.reading import Heard
from tests.support.fakes import P0, P1, ManualClock


class Client:
    """The consumer: offsets with what stands beside them, and what was assigned where."""

    def __init__(self) -> None:
        self.committed_as: dict[TopicPartition, tuple[int, str | None]] = {}
        self.failure: KafkaError | None = None
        self.assigned: list[tuple[str, int, int]] = []

    def committed(self, partitions: list[Any], timeout_s: float) -> list[Any]:
        assert timeout_s > 0
        if self.failure is not None:
            raise KafkaException(self.failure)
        return [
            SimpleNamespace(
                topic=one.topic, partition=one.partition, offset=offset, metadata=said, error=None
            )
            for one in partitions
            for offset, said in [
                self.committed_as.get(TopicPartition(one.topic, one.partition), (-1001, None))
            ]
        ]

    def incremental_assign(self, partitions: list[Any]) -> None:
        self.assigned += [(one.topic, one.partition, one.offset) for one in partitions]

    def incremental_unassign(self, partitions: list[Any]) -> None:
        pass

    def resume(self, partitions: list[Any]) -> None:
        pass

    def position(self, partitions: list[Any]) -> None:
        pass


class Asked:
    """A question; its answer is what the brokers know when it is read."""

    def __init__(self, topics: Collection[str], brokers: Brokers) -> None:
        self.topics = frozenset(topics)
        self._brokers = brokers

    @property
    def done(self) -> bool:
        return not self._brokers.silent

    def answer(self, _timeout_s: float = 0.0) -> Mapping[str, str] | None:
        if self._brokers.silent:
            return None
        ids = {**self._brokers.outputs, **self._brokers.ids}
        return {one: known for one, known in ids.items() if one in self.topics}


class Brokers:
    """What they tell."""

    def __init__(self) -> None:
        self.ids = {"articles": "A"}
        self.outputs = {"articles-tagged": "T", "articles-dead-letters": "D"}
        self.silent = False
        self.tell = True
        self.asked = 0

    def ask(self, topics: Collection[str]) -> Any:
        self.asked += 1
        return Asked(topics, self)

    def find_who_tells(self, timeout_s: float) -> bool:
        assert timeout_s > 0
        return self.tell


class Rig:
    """A watch whose partitions are assigned."""

    def __init__(self, policy: str = "earliest", topics: tuple[str, ...] = ("articles",)) -> None:
        settings = Settings(auto_offset_reset=OffsetReset(policy), input_topics=topics)
        self.brokers, self.client, self.clock = Brokers(), Client(), ManualClock()
        self.assigned, self.heard = AssignedPartitions(), Heard()
        ids: Any = self.brokers
        self.watch = TopicWatch(settings, self.assigned, Starts(settings), ids, self.clock)
        rebalance = Rebalance(lambda _, __: None, self.assigned, self.heard)
        self.hinted = False
        intake = SimpleNamespace(outside={}, take_hint=lambda: False)
        self.member: Any = SimpleNamespace(consumer=self.client, rebalance=rebalance, intake=intake)

    def assign(self, *partitions: TopicPartition) -> None:
        theirs = [confluent_kafka.TopicPartition(one.topic, one.partition) for one in partitions]
        self.member.rebalance.on_assign(self.client, theirs)

    def step(self, seconds: float = 0.0) -> None:
        """A look after so long, and one more, which takes the answer."""
        self.clock.advance(seconds)
        self.watch.step(self.member, self.heard)
        self.watch.step(self.member, self.heard)

    def begun_anew(self) -> list[tuple[str, int, int]]:
        return [one for one in self.client.assigned if one[2] == OFFSET_BEGINNING]


def test_a_topic_that_stays_is_left_alone_and_asked_for_every_few_seconds() -> None:
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0, P1)
    rig.step()
    asked = rig.brokers.asked
    for _ in range(20):
        rig.step(INTERVAL_S / 10)
    assert rig.brokers.asked - asked in (2, 3)
    assert rig.assigned.topic_ids() == {P0: "A", P1: "A"}
    assert rig.begun_anew() == []
    assert rig.heard.jumps == []


def test_it_tells_that_a_topic_has_gone_come_back_or_is_another_one() -> None:
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    turns = rig.watch.turns
    rig.step(INTERVAL_S)
    assert (rig.watch.turns, rig.watch.lacks_input) == (turns, False)
    kept, rig.brokers.ids = rig.brokers.ids, {}
    rig.step(INTERVAL_S)
    rig.step(SOON_S)
    assert (rig.watch.turns, rig.watch.lacks_input) == (turns + 1, True)
    rig.brokers.ids = kept
    rig.step(SOON_S)
    assert (rig.watch.turns, rig.watch.lacks_input) == (turns + 2, False)
    rig.brokers.ids = {"articles": "B"}
    rig.step(INTERVAL_S)
    assert (rig.watch.turns, rig.watch.lacks_input) == (turns + 3, False)
    rig.brokers.outputs = {}
    rig.step(INTERVAL_S)
    assert not rig.watch.lacks_input


def test_a_stamp_of_another_topic_has_the_partition_begun_anew() -> None:
    rig = Rig()
    rig.client.committed_as = {P0: (20, "nerstream topic-id=OLD"), P1: (7, "nerstream topic-id=A")}
    rig.watch.begin()
    rig.assign(P0, P1)
    rig.step()
    assert rig.begun_anew() == [("articles", 0, OFFSET_BEGINNING)]
    assert rig.heard.jumps == [(JumpReason.RECREATED, 0)]
    assert rig.heard.of("lost") == [P0]
    assert rig.assigned.topic_ids() == {P0: "A", P1: "A"}


def test_a_stamp_that_is_newer_than_what_is_known_is_held_against_the_brokers() -> None:
    """Another worker has noticed first, has read some of the new topic and gone."""
    rig = Rig()
    rig.watch.begin()
    rig.brokers.ids = {"articles": "B"}
    rig.client.committed_as = {P0: (20, "nerstream topic-id=B")}
    rig.assign(P0)
    rig.step()
    assert rig.begun_anew() == []
    assert rig.assigned.topic_ids() == {P0: "B"}


@pytest.mark.parametrize("beside", [None, "", "what another tool wrote"])
def test_an_offset_that_a_person_set_is_taken_as_it_is(beside: str | None) -> None:
    rig = Rig()
    rig.client.committed_as = {P0: (20, beside)}
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    assert rig.begun_anew() == []
    assert rig.assigned.topic_ids() == {P0: "A"}


def test_a_topic_that_is_another_one_is_begun_anew_once() -> None:
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0, P1)
    rig.step()
    rig.brokers.ids["articles"] = "B"
    rig.step(INTERVAL_S)
    assert rig.begun_anew() == [
        ("articles", 0, OFFSET_BEGINNING),
        ("articles", 1, OFFSET_BEGINNING),
    ]
    # A broker that is behind tells the old one once more.
    rig.brokers.ids["articles"] = "A"
    rig.step(INTERVAL_S)
    rig.brokers.ids["articles"] = "B"
    rig.step(INTERVAL_S)
    assert len(rig.begun_anew()) == 2
    assert rig.heard.jumps == [(JumpReason.RECREATED, 0)] * 2


def test_a_topic_that_went_from_here_and_came_back_as_another_one_is_begun_anew() -> None:
    """Kafka forgets the offsets in a topic that is deleted, and `latest` would leave messages out;
    this worker remembers."""
    rig = Rig("latest")
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    rig.member.rebalance.on_revoke(rig.client, [confluent_kafka.TopicPartition("articles", 0)])
    rig.brokers.ids["articles"] = "B"
    rig.step(INTERVAL_S)
    rig.assign(P0)
    rig.step()
    assert rig.begun_anew() == [("articles", 0, OFFSET_BEGINNING)]


def test_a_topic_that_is_another_one_stops_a_worker_that_is_told_so() -> None:
    rig = Rig("error")
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    rig.brokers.ids["articles"] = "B"
    with pytest.raises(KafkaProblem, match=r"articles \[0\] was deleted and made again.*set auto"):
        rig.step(INTERVAL_S)
    assert rig.begun_anew() == []


def test_a_topic_that_is_gone_is_named_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    del rig.brokers.ids["articles"]
    rig.step(INTERVAL_S)
    (trouble,) = rig.watch.troubles()
    assert trouble.startswith("the topic articles (input_topics) is gone; create it")
    asked = rig.brokers.asked
    rig.step(SOON_S)
    assert rig.brokers.asked > asked
    rig.brokers.ids["articles"] = "A"
    rig.step(SOON_S)
    rig.step(SOON_S)
    assert rig.watch.troubles() == []
    assert rig.begun_anew() == []
    said = [one.message for one in caplog.records if one.levelno == logging.WARNING]
    assert said == [
        "the topic articles is gone; it is waited for",
        "the topic articles is there again",
    ]


def test_a_topic_of_a_pattern_that_is_gone_is_nobodys_trouble() -> None:
    rig = Rig(topics=("^articles$",))
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    del rig.brokers.ids["articles"]
    rig.step(INTERVAL_S)
    assert rig.watch.troubles() == []


def test_offsets_that_are_not_known_yet_are_asked_for_again() -> None:
    rig = Rig()
    rig.client.committed_as = {P0: (20, "nerstream topic-id=OLD")}
    rig.client.failure = KafkaError(KafkaError._TIMED_OUT)
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    assert rig.assigned.unvouched() == [P0]
    rig.client.failure = None
    rig.step(SOON_S)
    assert rig.assigned.unvouched() == [P0]
    rig.step(1.0)
    assert rig.begun_anew() == [("articles", 0, OFFSET_BEGINNING)]


def test_brokers_that_tell_no_ids_are_not_asked() -> None:
    rig = Rig()
    rig.brokers.tell = False
    rig.watch.begin()
    rig.assign(P0)
    rig.step(INTERVAL_S)
    assert rig.brokers.asked == 0
    assert not rig.watch.is_stale


def test_brokers_that_fall_silent_hold_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    rig.clock.advance(1.0)
    assert rig.watch.is_stale
    rig.brokers.silent = True
    rig.step(INTERVAL_S)
    rig.step(2.0)
    assert not rig.watch.is_stale
    assert "do not tell the ids" in caplog.text
    Vouching(rig.watch, {P0: 7}, rig.assigned.topic_ids(), {}).require()
    rig.brokers.silent = False
    rig.brokers.ids["articles"] = "B"
    rig.step(SOON_S)
    assert rig.begun_anew() == [("articles", 0, OFFSET_BEGINNING)]


def test_a_commit_goes_on_without_an_answer_and_the_next_does_not_wait() -> None:
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    vouching = Vouching(rig.watch, {P0: 7}, rig.assigned.topic_ids(), {})
    rig.brokers.silent = True
    vouching.require()
    assert not rig.watch.answers
    asked = rig.brokers.asked
    Vouching(rig.watch, {P0: 8}, rig.assigned.topic_ids(), {}).require()
    assert rig.brokers.asked == asked


def test_nothing_is_committed_of_a_topic_that_is_another_one_or_gone() -> None:
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    vouching = Vouching(rig.watch, {P0: 7, P1: 8}, rig.assigned.topic_ids(), {})
    assert [(one.partition, one.offset, one.metadata or "") for one in vouching.offsets] == [
        (0, 7, "nerstream topic-id=A"),
        (1, 8, ""),
    ]
    vouching.require()
    for answer in ({"articles": "B"}, {}):
        rig.brokers.ids = answer
        with pytest.raises(AbortableError, match="the topic articles was deleted, or deleted and"):
            Vouching(rig.watch, {P0: 7}, rig.assigned.topic_ids(), {}).require()
    # It does not wait for the next look.
    asked = rig.brokers.asked
    rig.step(SOON_S)
    assert rig.brokers.asked > asked


@pytest.mark.parametrize("now", ["W", None])
def test_nothing_is_committed_for_an_output_topic_that_is_another_one_or_gone(
    now: str | None,
) -> None:
    """What was acknowledged stood in the old one, or stands nowhere."""
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    outputs = rig.watch.output_ids()
    assert outputs == {"articles-tagged": "T", "articles-dead-letters": "D"}
    Vouching(rig.watch, {P0: 7}, rig.assigned.topic_ids(), {}, outputs).require()
    tagged = {"articles-tagged": now} if now else {}
    rig.brokers.outputs = {"articles-dead-letters": "D", **tagged}
    with pytest.raises(
        AbortableError, match="the topic articles-tagged was deleted, or deleted and"
    ):
        Vouching(rig.watch, {P0: 7}, rig.assigned.topic_ids(), {}, outputs).require()


def test_an_answer_of_brokers_without_ids_is_no_other_topic() -> None:
    rig = Rig()
    rig.watch.begin()
    rig.assign(P0)
    rig.step()
    rig.brokers.ids = {"articles": ""}
    Vouching(rig.watch, {P0: 7}, rig.assigned.topic_ids(), {}).require()
    rig.step(INTERVAL_S)
    assert rig.begun_anew() == []
