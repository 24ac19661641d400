"""GroupView: which partitions the members of a group have, as the brokers tell it."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, TopicCollection

from consumer.contracts.messages import TopicPartition

#: The state of a group whose members all know what they have.
_SETTLED = "Stable"

#: What a group of consumers calls itself.
_CONSUMERS = "consumer"

#: Seconds in which brokers answer that can.
_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group that shares out nothing at the moment.

    Attributes:
        members: their ids, sorted.
        unassigned: partitions that are there, and that no member has.
    """

    members: tuple[str, ...]
    unassigned: frozenset[TopicPartition]


def look_at_group(client: Any, group_id: str, topics: Collection[str]) -> GroupView | None:
    """Ask the brokers who has which of these topics' partitions; blocks for some seconds at most.

    `describe_consumer_groups` is not used: it ends the process where the group has no coordinator
    (librdkafka 2.16).

    Args:
        client: an admin client.

    Returns:
        None where it cannot be told: the group is sharing out its partitions, a topic is not there,
        no broker answers, this user may not ask, or the group is of the consumer protocol.
    """
    try:
        there = _partitions(client, topics)
        groups = _described(client, group_id)
        had = {
            one
            for group in groups
            for member in group.members
            for one in assigned_in(member.assignment)
        }
    except (KafkaException, TimeoutError, ValueError, struct.error):
        return None
    if len(groups) != 1:
        return None
    (group,) = groups
    if group.error is not None or (group.state, group.protocol_type) != (_SETTLED, _CONSUMERS):
        return None
    members = tuple(sorted(str(member.id) for member in group.members))
    return GroupView(members, frozenset(there - had))


def assigned_in(data: bytes) -> Iterable[TopicPartition]:
    """The partitions in a member's assignment, as Kafka's consumers write it to each other: a
    version, then each topic with its partitions.

    Raises:
        ValueError, struct.error: it is no such assignment.
    """
    if not data:
        return ()
    found = []
    (topics,) = struct.unpack_from(">i", data, 2)
    at = 6
    for _ in range(topics):
        (length,) = struct.unpack_from(">h", data, at)
        at += 2
        topic = data[at : at + length].decode()
        at += length
        (count,) = struct.unpack_from(">i", data, at)
        numbers = struct.unpack_from(f">{count}i", data, at + 4)
        at += 4 + 4 * count
        found += [TopicPartition(topic, number) for number in numbers]
    return found


def _partitions(client: Any, topics: Collection[str]) -> set[TopicPartition]:
    asked = TopicCollection(sorted(topics))
    coming = client.describe_topics(asked, request_timeout=_ANSWER_S)
    return {
        TopicPartition(topic, one.id)
        for topic, answer in coming.items()
        for one in answer.result(2 * _ANSWER_S).partitions
    }


def _described(client: Any, group_id: str) -> list[Any]:
    with warnings.catch_warnings():
        # It is what there is besides `describe_consumer_groups`.
        warnings.simplefilter("ignore", DeprecationWarning)
        found: list[Any] = client.list_groups(group=group_id, timeout=_ANSWER_S)
    return found
