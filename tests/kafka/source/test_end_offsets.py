"""End offsets in the background, with an admin client that answers when told."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaError, KafkaException

from consumer.contracts.messages import TopicPartition
from consumer.kafka.client import ClientWatch
from consumer.kafka.errors import LEADER_MOVED
from consumer.kafka.source.end_offsets import EndOffsets

ONE, TWO = TopicPartition("articles", 1), TopicPartition("articles", 2)


@dataclass
class Answer:
    offset: int


Question = dict[TopicPartition, Future[Answer]]


class Admin:
    """Takes down each pair of questions, for the last stable offset and for the high watermark;
    the test answers the first, and the second is answered alike unless it is told otherwise."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.high: list[Question] = []
        #: Offsets of open transactions, by which the high watermark is higher.
        self.open = 0

    def poll(self, timeout_s: float) -> None:
        assert timeout_s == 0

    def list_offsets(
        self, asked: Mapping[Any, Any], isolation_level: IsolationLevel, request_timeout: float
    ) -> dict[Any, Future[Answer]]:
        assert request_timeout > 0
        futures: dict[Any, Future[Answer]] = {one: Future() for one in asked}
        question = {
            TopicPartition(one.topic, one.partition): one_of for one, one_of in futures.items()
        }
        if isolation_level is IsolationLevel.READ_COMMITTED:
            self.questions.append(question)
        else:
            self.high.append(question)
            for partition, answer in question.items():
                self.questions[-1][partition].add_done_callback(partial(self._echo, answer))
        return futures

    def _echo(self, answer: Future[Answer], first: Future[Answer]) -> None:
        failure = first.exception()
        if failure is not None:
            answer.set_exception(failure)
        else:
            answer.set_result(Answer(first.result().offset + self.open))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_answers_are_taken_when_they_come() -> None:
    admin, clock = Admin(), Clock()
    ends = EndOffsets(lambda _: admin, clock)
    ends.refresh([])
    assert admin.questions == []
    ends.refresh([ONE, TWO])
    ends.refresh([ONE, TWO])
    assert len(admin.questions) == 1
    assert ends.last_stable() == {}
    admin.questions[0][ONE].set_result(Answer(7))
    ends.refresh([ONE, TWO])
    assert ends.last_stable() == {ONE: 7}
    # While an answer is due nothing is asked, however long it takes.
    clock.now = 100.0
    ends.refresh([ONE, TWO])
    assert len(admin.questions) == 1
    admin.questions[0][TWO].set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    ends.refresh([ONE, TWO])
    assert ends.last_stable() == {ONE: 7}
    assert len(admin.questions) == 2


def test_it_asks_when_it_is_time_or_when_a_partition_is_new() -> None:
    admin, clock = Admin(), Clock()
    ends = EndOffsets(lambda _: admin, clock)
    ends.refresh([ONE])
    admin.questions[0][ONE].set_result(Answer(1))
    clock.now = EndOffsets.INTERVAL_S - 0.1
    ends.refresh([ONE])
    assert len(admin.questions) == 1
    ends.refresh([ONE, TWO])
    assert set(admin.questions[1]) == {ONE, TWO}
    for answer in admin.questions[1].values():
        answer.set_result(Answer(2))
    ends.refresh([ONE])
    assert len(admin.questions) == 2
    clock.now += EndOffsets.INTERVAL_S
    ends.refresh([ONE])
    assert set(admin.questions[2]) == {ONE}


def test_a_client_that_has_forgotten_all_brokers_is_replaced_between_two_questions() -> None:
    admins: list[Admin] = []
    watches: list[ClientWatch] = []

    def make(watch: ClientWatch) -> Any:
        admins.append(Admin())
        watches.append(watch)
        return admins[-1]

    clock = Clock()
    ends = EndOffsets(make, clock)
    ends.refresh([ONE])
    for _ in range(2):
        watches[0].statistics('{"brokers": {}}')
    ends.refresh([ONE])
    assert len(admins) == 1
    admins[0].questions[0][ONE].set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    clock.now = EndOffsets.INTERVAL_S
    ends.refresh([ONE])
    assert len(admins) == 2
    admins[1].questions[0][ONE].set_result(Answer(7))
    ends.refresh([ONE])
    assert ends.last_stable() == {ONE: 7}
    assert len(admins) == 2


def test_the_high_watermark_is_told_beside_the_last_stable_offset() -> None:
    admin, clock = Admin(), Clock()
    ends = EndOffsets(lambda _: admin, clock)
    ends.refresh([ONE])
    admin.open = 50
    admin.questions[0][ONE].set_result(Answer(100))
    ends.refresh([ONE])
    assert (ends.last_stable(), ends.high_watermarks()) == ({ONE: 100}, {ONE: 150})
    # The transaction ends between the two answers: no end is below the other.
    clock.now = EndOffsets.INTERVAL_S
    ends.refresh([ONE])
    admin.open = -1
    admin.questions[1][ONE].set_result(Answer(151))
    ends.refresh([ONE])
    assert (ends.last_stable(), ends.high_watermarks()) == ({ONE: 151}, {ONE: 151})


@pytest.mark.parametrize("code", sorted(LEADER_MOVED))
def test_a_client_that_looks_for_leaders_where_they_were_is_replaced_at_times(code: int) -> None:
    admins: list[Admin] = []

    def make(_: ClientWatch) -> Any:
        admins.append(Admin())
        return admins[-1]

    clock = Clock()
    ends = EndOffsets(make, clock)
    ends.refresh([ONE])
    admins[0].questions[0][ONE].set_result(Answer(7))
    for now in range(1, 21):
        clock.now = float(now)
        ends.refresh([ONE])
        for question in admins[-1].questions:
            if not question[ONE].done():
                question[ONE].set_exception(KafkaException(KafkaError(code)))
    # Asked by the first at 5 s; by another at once, which is wrong too; and then every 10 s.
    assert len(admins) == 3
    assert ends.client is admins[-1]
    assert ends.last_stable() == {ONE: 7}


def test_an_answer_without_an_offset_is_none() -> None:
    """librdkafka gives no error where the leader of a partition does not answer."""
    admins: list[Admin] = []

    def make(_: ClientWatch) -> Any:
        admins.append(Admin())
        return admins[-1]

    ends = EndOffsets(make, Clock())
    ends.refresh([ONE])
    admins[0].questions[0][ONE].set_result(Answer(OFFSET_INVALID))
    ends.refresh([ONE])
    assert ends.last_stable() == {}
    assert len(admins) == 2
    admins[1].questions[0][ONE].set_result(Answer(9))
    ends.refresh([ONE])
    assert ends.last_stable() == {ONE: 9}


def test_a_client_that_is_replaced_lives_until_what_it_was_asked_is_answered() -> None:
    admins: list[weakref.ref[Admin]] = []

    def make(_: ClientWatch) -> Any:
        admin = Admin()
        admins.append(weakref.ref(admin))
        return admin

    clock = Clock()
    ends = EndOffsets(make, clock)
    ends.refresh([ONE])
    first = admins[0]()
    assert first
    first.questions[0][ONE].set_exception(
        KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    )
    del first

    def lives() -> bool:
        gc.collect()
        return admins[0]() is not None

    ends.refresh([ONE])
    assert len(admins) == 2
    assert lives()
    clock.now += EndOffsets.REQUEST_TIMEOUT_S
    ends.refresh([ONE])
    assert not lives()
