"""Looks, before anything is read, whether this user may do what a worker does.

A topic that may be seen and not written fails at the first message, which for the dead letters may
be a week later. And a consumer that may not use its group asks for it again and again, for ever,
without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from consumer.contracts.errors import KafkaProblem
from consumer.settings.access import TOPIC_OPERATIONS, grant, spelled
from consumer.settings.schema import Settings

#: Longest wait, in seconds, for an answer. Where none comes in time, what is done next says why.
_ANSWER_S = 5.0


def require_topics(client: AdminClient, settings: Settings, topics: Mapping[str, str]) -> None:
    """Raise KafkaProblem if this user may not do with these topics what a worker does.

    Args:
        client: asks.
        settings: of the user.
        topics: of each, the setting that names it.
    """
    if not topics or not _is_told(client, next(iter(topics))):
        return
    refused = []
    for name, allowed in _answers(client, list(topics)):
        needed = TOPIC_OPERATIONS.get(topics[name], ())
        missing = [one for one in needed if allowed is not None and one not in allowed]
        if missing:
            refused.append(topic_refusal(settings, name, topics[name], missing))
    if refused:
        raise KafkaProblem("; ".join(refused))


def may_write(client: AdminClient, topic: str) -> bool:
    """Whether this user may write a topic; true where the brokers do not say."""
    if not _is_told(client, topic):
        return True
    return all(allowed is None or "WRITE" in allowed for _, allowed in _answers(client, [topic]))


def topic_refusal(
    settings: Settings, topic: str, setting: str, operations: list[str] | None = None
) -> str:
    """What is told where this user may not do something with a topic.

    Args:
        operations: what is missing; None takes all that a worker does with it.
    """
    missing = operations or list(TOPIC_OPERATIONS.get(setting, ("DESCRIBE", "WRITE")))
    return (
        f"{user_of(settings)} may not {spelled(missing)} the topic {topic} ({setting}); "
        f"{grant(settings, 'topic', topic, missing)}"
    )


def group_refusal(consumer: Any, settings: Settings) -> str:
    """What is told where this user may not use the group; empty where nothing was said of that.

    Args:
        consumer: of the group. It was asked for the group's offsets, and got no answer: the reason
            comes in the place of a message. An admin client would say it, but one that finds no
            coordinator in time takes the process with it (librdkafka 2.16).
    """
    event = consumer.poll(0)
    error = None if event is None else event.error()
    if error is None or error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
        return ""
    return (
        f"{user_of(settings)} may not Read the group {settings.group_id} (group_id); "
        f"{grant(settings, 'group', settings.group_id, ('READ', 'DESCRIBE'))}"
    )


def user_of(settings: Settings) -> str:
    """This client's user, for a person."""
    name = settings.kafka.get("sasl.username", "")
    return f"the user {name}" if name else "this user"


def _is_told(client: AdminClient, topic: str) -> bool:
    """Whether a broker answers such questions. The client asks the controller. Where there is none,
    as in librdkafka's mock cluster, it would wait for one."""
    try:
        found = client.list_topics(topic, timeout=_ANSWER_S)
    except KafkaException:
        return False
    return found.controller_id in found.brokers


def _answers(client: AdminClient, topics: list[str]) -> list[tuple[str, frozenset[str] | None]]:
    """Of each topic what may be done with it; None where the brokers do not say."""
    answers = client.describe_topics(
        TopicCollection(topics), include_authorized_operations=True, request_timeout=_ANSWER_S
    )
    return [(name, _allowed(answer)) for name, answer in answers.items()]


def _allowed(answer: Any) -> frozenset[str] | None:
    """What may be done with a topic; None where the brokers do not say."""
    try:
        found = answer.result().authorized_operations
    except KafkaException:
        return None  # it is missing, or may not be seen, which is told where it is waited for
    return None if found is None else _names(found)


def _names(operations: Any) -> frozenset[str]:
    return frozenset(one.name for one in operations)
