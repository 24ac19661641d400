"""Asks the brokers with an admin client, and takes no for an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from consumer.contracts.cluster import Topic, Unknown
from consumer.kafka.errors import UNKNOWN_TOPIC, error_of

#: Longest wait, in seconds, for one answer.
ANSWER_S = 5.0

Found = TypeVar("Found")


def asked(ask: Callable[[], Found]) -> Found | Unknown:
    """The answer, or what the brokers said instead."""
    try:
        return ask()
    except KafkaException as failed:
        return Unknown(said(failed))


def said(failed: KafkaException) -> str:
    """What Kafka said, without who said it."""
    text: str = error_of(failed).str()
    return text.strip().rstrip(".").removeprefix("Broker: ")


def configs(
    client: AdminClient, kind: ResourceType, names: Iterable[str]
) -> Mapping[str, Mapping[str, str] | Unknown]:
    """The settings of brokers or topics. A broker is asked for its own, at its own address."""
    resources = [ConfigResource(kind, name) for name in names]
    if not resources:
        return {}
    answers = {
        one: client.describe_configs([one], request_timeout=ANSWER_S)[one] for one in resources
    }
    return {one.name: asked(partial(_texts, answer)) for one, answer in answers.items()}


def describe_topics(client: AdminClient, names: Mapping[str, str]) -> list[Topic]:
    """Topics as they are; none is created.

    Args:
        names: of each, the setting that names it.
    """
    if not names:
        return []
    answers = client.describe_topics(
        TopicCollection(list(names)), include_authorized_operations=True, request_timeout=ANSWER_S
    )
    settings = configs(client, ResourceType.TOPIC, names)
    return [_topic(name, names[name], answer, settings[name]) for name, answer in answers.items()]


def operations(listed: Iterable[Any] | None) -> frozenset[str] | Unknown:
    """What a user may do, in Kafka's words."""
    if listed is None:
        return Unknown("these brokers do not tell what a user may do")
    return frozenset(one.name for one in listed)


def _topic(name: str, setting: str, answer: Any, config: Mapping[str, str] | Unknown) -> Topic:
    try:
        found = answer.result()
    except KafkaException as failed:
        is_missing = error_of(failed).code() in UNKNOWN_TOPIC
        return Topic(name, setting, said(failed), is_missing)
    return Topic(
        name,
        setting,
        partitions=len(found.partitions),
        replicas=min((len(one.replicas) for one in found.partitions), default=0),
        in_sync=min((len(one.isr) for one in found.partitions), default=0),
        leaderless=sum(one.leader is None or one.leader.id < 0 for one in found.partitions),
        config=config,
        operations=operations(found.authorized_operations),
    )


def _texts(answer: Any) -> Mapping[str, str]:
    return {name: str(entry.value) for name, entry in answer.result().items()}
