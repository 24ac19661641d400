"""What this user may do with the group and with the transactional id, found out by requests that
the brokers refuse before they do anything, but after they have looked whether the user may."""

from __future__ import annotations

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
)
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient

from consumer.contracts.cluster import Group, Unknown
from consumer.kafka.client import ClientWatch, make_client
from consumer.kafka.errors import error_of, raised_by
from consumer.kafka.sink.properties import DEFAULTS
from consumer.kafka.survey.asking import ANSWER_S, asked, operations, said
from consumer.settings.schema import Settings

#: No topic can have this name. Brokers look first whether a user may commit for the group; then
#: they find that there is no such topic, and write nothing.
_NO_TOPIC = "no/topic"

#: Longer than any broker lets a transaction be, unless it is set to just that. Brokers look first
#: whether a user may use the transactional id; then they refuse this, and write nothing.
TOO_LONG_MS = 2**31 - 1

#: Seconds for a coordinator to be found and asked.
_PRODUCER_S = 10.0

_MEMBERS = {"CLASSIC": "classic", "CONSUMER": "consumer"}


def look_at_group(client: AdminClient, group_id: str) -> Group | Unknown:
    """Who is in the group, and what this user may do with it."""

    def ask() -> Group:
        answers = client.describe_consumer_groups(
            [group_id], include_authorized_operations=True, request_timeout=ANSWER_S
        )
        found = answers[group_id].result()
        may = operations(found.authorized_operations)
        return Group(
            members=len(found.members),
            assignor=found.partition_assignor if found.members else "",
            protocol=_MEMBERS.get(found.type.name, "") if found.members else "",
            operations=_may_read(client, group_id) if isinstance(may, Unknown) else may,
        )

    try:
        return ask()
    except KafkaException as failed:
        if error_of(failed).code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return Group(operations=_may_read(client, group_id))
        return Unknown(said(failed))


def _may_read(client: AdminClient, group_id: str) -> frozenset[str] | Unknown:
    """Whether this user may commit for the group, by a commit for a topic that cannot be."""
    nothing = ConsumerGroupTopicPartitions(group_id, [KafkaTopicPartition(_NO_TOPIC, 0, 0)])

    def ask() -> frozenset[str]:
        answer = client.alter_consumer_group_offsets([nothing], request_timeout=ANSWER_S)
        (error,) = (one.error for one in answer[group_id].result().topic_partitions)
        if error is not None and error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return frozenset()
        return frozenset({"READ"})

    found = asked(ask)
    if isinstance(found, Unknown) and "authorization" in found.why.lower():
        return frozenset()
    return found


def transactional_id_problem(settings: Settings, name: str) -> str | Unknown:
    """Why this user may not use a transactional id; empty where it may.

    No producer is fenced and no state of a transaction is touched, also where another worker has
    this very id.
    """
    watch = ClientWatch()
    # This client's last words are errors that are meant to be; nobody should read them.
    producer: Producer = make_client(
        Producer,
        settings,
        watch,
        DEFAULTS,
        {"transactional.id": name, "transaction.timeout.ms": TOO_LONG_MS, "log_level": 0},
    )
    try:
        producer.init_transactions(_PRODUCER_S)
    except (KafkaException, SystemError) as raised:
        failed = raised_by(raised)
        code = error_of(failed).code()
        if code == KafkaError.INVALID_TRANSACTION_TIMEOUT:
            return ""
        if code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return said(failed)
        return Unknown(said(failed))
    return ""
