"""A bounded run: its plan, taken from the group's offsets and kept in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin._listoffsets import LatestSpec, TimestampSpec

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.contracts.runs import Gone, RunState
from consumer.kafka.client import ClientWatch
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.runs.bounded_run import BoundedRun
from consumer.kafka.source.stamps import stamped
from consumer.settings.schema import Settings
from tests.support.memory.fake_client import ONE, TWO


class Group:
    """A group's offsets, and the logs that they stand in: 0 to 100 of each partition."""

    def __init__(self) -> None:
        self.offsets: dict[TopicPartition, Any] = {}
        #: What the client says to each question about the logs.
        self.failure: KafkaError | None = None
        self.asked: list[Any] = []

    def ask(
        self, partitions: Collection[TopicPartition], timeout_s: float
    ) -> Future[Mapping[TopicPartition, Any]]:
        assert timeout_s > 0
        answer: Future[Mapping[TopicPartition, Any]] = Future()
        answer.set_result({one: self.offsets[one] for one in partitions if one in self.offsets})
        return answer

    def read(self, run: BoundedRun, partition: TopicPartition, offset: int) -> None:
        """A worker of this run commits that it has read so far."""
        spans = run.spans_at({partition: offset})
        self.commit(stamped({partition: offset}, {}, {}, spans))

    def commit(self, offsets: list[Any]) -> None:
        self.offsets.update({TopicPartition(one.topic, one.partition): one for one in offsets})

    def list_offsets(self, asked: Mapping[Any, Any], **options: Any) -> Mapping[Any, Future[Any]]:
        assert options["request_timeout"] > 0
        futures: dict[Any, Future[Any]] = {}
        for one, spec in asked.items():
            self.asked.append(spec)
            futures[one] = Future()
            if self.failure is not None:
                futures[one].set_exception(KafkaException(self.failure))
                continue
            end = isinstance(spec, LatestSpec)
            futures[one].set_result(SimpleNamespace(offset=100 if end else 0))
        return futures


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    group = Group()
    monkeypatch.setattr("consumer.kafka.source.runs.bounded_run.GroupOffsets", lambda _: group)
    return group


def run_of(group: Group, **settings: Any) -> BoundedRun:
    """A run in a process of its own."""
    asked = Settings(**{"run_from": "earliest", **settings}).for_run()
    return BoundedRun(asked, AssignedPartitions(), lambda: group)


def look(run: BoundedRun) -> bool:
    return run.look([(ONE, TWO)], SimpleNamespace(poll=lambda _: 0), ClientWatch())


def test_the_first_start_fixes_the_plan_and_the_next_one_takes_it(group: Group) -> None:
    first, second = run_of(group), run_of(group)
    assert look(first)
    group.offsets[ONE] = confluent_kafka.TopicPartition(*ONE, 30, group.offsets[ONE].metadata)
    assert look(second)
    assert second.spans == first.spans
    state = second.state()
    assert state is not None
    assert (state.done, state.total, state.is_complete) == (30, 200, False)


@pytest.mark.parametrize("before", ["0001-01-01", "1960-01-01", "1969-12-31T23:59:59.997"])
def test_no_time_before_1970_is_asked_for(group: Group, before: str) -> None:
    # To Kafka -1 is the end, -3 the newest message, and other numbers below 0 are nothing.
    assert look(run_of(group, run_from=before))
    assert {one.timestamp for one in group.asked if isinstance(one, TimestampSpec)} == {0}


def test_a_question_that_the_client_refuses_is_not_asked_for_ever(group: Group) -> None:
    group.failure = KafkaError(KafkaError._INVALID_ARG, "Partition 0 has an invalid offset -7")
    with pytest.raises(KafkaProblem, match=r"the bounds of the run .* has an invalid offset -7"):
        look(run_of(group))
    # An answer that did not come may come.
    group.failure = KafkaError(KafkaError._TIMED_OUT)
    assert not look(run_of(group))


def test_what_was_gone_is_told_by_whichever_worker_ends_the_run(group: Group) -> None:
    first = run_of(group)
    assert look(first)
    # It has read to 40 when 40 to 70 are gone; what it commits next is from before that.
    first.removed(ONE, 40, 70)
    group.read(first, ONE, 30)
    second = run_of(group)
    assert look(second)
    assert second.state() == RunState(30, 200, False)
    # The first was killed: its successor finds gone what it would have read as well.
    second.removed(ONE, 30, 70)
    group.read(second, ONE, 80)
    group.read(second, TWO, 100)
    third = run_of(group)
    assert look(third)
    assert third.state() == RunState(140, 160, False, (Gone(ONE, 40, 100),))
    # The end of the log was gone too, and no message moves the offset any more.
    third.removed(ONE, 80, 100)
    member: Any = SimpleNamespace(commit=group.commit)
    third.finish(member, [ONE, TWO])
    fourth = run_of(group)
    assert look(fourth)
    assert fourth.state() == RunState(140, 140, True, (Gone(ONE, 60, 100),))


def test_what_was_gone_counts_once_however_often_it_is_committed(group: Group) -> None:
    run = run_of(group)
    assert look(run)
    run.removed(TWO, 0, 10)
    for offset in (20, 50, 60):
        group.read(run, TWO, offset)
        assert look(run)
    assert run.state() == RunState(50, 190, False, (Gone(TWO, 10, 100),))
    # Another worker of the run has the partition for a while, and finds nothing gone.
    other = run_of(group)
    assert look(other)
    group.read(other, TWO, 100)
    group.read(other, ONE, 100)
    assert look(run)
    assert run.state() == RunState(190, 190, True, (Gone(TWO, 10, 100),))


def test_a_commit_that_is_told_between_two_looks_repeats_what_was_gone(group: Group) -> None:
    run = run_of(group)
    assert look(run)
    run.removed(TWO, 0, 10)
    for offset in (20, 50):  # no look between them
        group.read(run, TWO, offset)
    assert look(run)
    assert run.state() == RunState(40, 190, False, (Gone(TWO, 10, 100),))
