"""What this user may not do is told before anything is read, with the command that allows it."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.security.access import group_refusal, may_write, require_topics
from consumer.settings.schema import Settings

SETTINGS = Settings(kafka={"sasl.username": "alice"}, group_id="g")

TOPICS = {"in": "input_topics", "out": "output_topic", "dead": "dead_letter_topic"}

ALL = ["READ", "WRITE", "DESCRIBE"]


class Admin:
    """Tells what may be done with topics and groups; an error, or None, instead of that.

    Attributes:
        controller: which broker answers; 0 is none.
    """

    def __init__(self, **told: Any) -> None:
        self._told = told
        self.controller = 1

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert topic in TOPICS
        assert timeout > 0
        return SimpleNamespace(controller_id=self.controller, brokers={1: None})

    def describe_topics(self, asked: Any, **options: Any) -> dict[str, Future[Any]]:
        assert options["include_authorized_operations"]
        return {name: self._answer(name) for name in asked.topic_names}

    def _answer(self, name: str) -> Future[Any]:
        told, answer = self._told.get(name, ALL), Future[Any]()
        if isinstance(told, int):
            answer.set_exception(KafkaException(KafkaError(told)))
        else:
            found = None if told is None else [AclOperation[one] for one in told]
            answer.set_result(SimpleNamespace(authorized_operations=found))
        return answer


class Events:
    """A consumer that has this error, or nothing, in the place of a message."""

    def __init__(self, code: int | None) -> None:
        self._event = None if code is None else SimpleNamespace(error=lambda: KafkaError(code))

    def poll(self, timeout: float) -> Any:
        assert timeout == 0
        return self._event


def refused(**told: Any) -> str:
    try:
        require_topics(Admin(**told), SETTINGS, TOPICS)
    except KafkaProblem as problem:
        return str(problem)
    return ""


def test_all_that_is_missing_is_told_at_once() -> None:
    assert refused() == ""
    assert refused(**{"in": ["DESCRIBE"], "dead": ["DESCRIBE", "READ"]}) == (
        "the user alice may not Read the topic in (input_topics); kafka-acls.sh --add "
        "--allow-principal User:alice --topic in --operation Read; "
        "the user alice may not Write the topic dead (dead_letter_topic); kafka-acls.sh --add "
        "--allow-principal User:alice --topic dead --operation Write"
    )


@pytest.mark.parametrize("told", [None, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._TIMED_OUT])
def test_brokers_that_do_not_tell_keep_nobody_out(told: Any) -> None:
    assert refused(out=told) == ""


@pytest.mark.parametrize("said", [None, KafkaError._TRANSPORT, KafkaError._PARTITION_EOF])
def test_nothing_is_said_of_a_group_that_may_be_used(said: int | None) -> None:
    assert group_refusal(Events(said), SETTINGS) == ""


def test_a_group_that_may_not_be_used() -> None:
    assert group_refusal(Events(KafkaError.GROUP_AUTHORIZATION_FAILED), SETTINGS) == (
        "the user alice may not Read the group g (group_id); kafka-acls.sh --add "
        "--allow-principal User:alice --group g --operation Read --operation Describe"
    )


def test_nobody_is_asked_where_nobody_answers() -> None:
    admin = Admin(out=[])
    admin.controller = 0
    require_topics(admin, SETTINGS, TOPICS)
    admin.controller = 1
    with pytest.raises(KafkaProblem):
        require_topics(admin, SETTINGS, TOPICS)


@pytest.mark.parametrize(
    ("told", "may"),
    [
        (ALL, True),
        (["DESCRIBE", "READ"], False),
        ([], False),
        # Nothing is known.
        (None, True),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, True),
    ],
)
def test_whether_a_topic_may_be_written(told: Any, may: bool) -> None:
    admin: Any = Admin(out=told)
    assert may_write(admin, "out") is may
    admin.controller = 0
    assert may_write(admin, "out")
