"""Finds out why one of the brokers' own topics cannot be used; no client says that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from consumer.contracts.choices import Delivery
from consumer.kafka.client import ASKING_PROPERTIES, ClientWatch, make_client
from consumer.kafka.errors import PERMANENT, UNKNOWN_TOPIC, error_of
from consumer.kafka.security.refusals import refusal
from consumer.settings.schema import Settings

#: Longest wait, in seconds, for each of two answers.
_ANSWER_S = 3.0

#: How many brokers are asked for their settings; those of a cluster are alike.
_BROKERS = 5


@dataclass(frozen=True, slots=True)
class InternalTopic:
    """One that the brokers create by themselves when it is first needed.

    Attributes:
        name: of the topic.
        holds: what, for a person.
        replicas: the broker's setting that says how many replicas it is created with.
    """

    name: str
    holds: str
    replicas: str


#: Without it no group has a coordinator.
OFFSETS = InternalTopic(
    "__consumer_offsets", "the offsets of all groups", "offsets.topic.replication.factor"
)

#: Without it no producer with a transactional id has one.
TRANSACTIONS = InternalTopic(
    "__transaction_state",
    "the state of all transactions",
    "transaction.state.log.replication.factor",
)


class InternalTopics:
    """Asks the brokers, with a client of its own that it keeps. One thread at a time.

    The common case is a cluster of one broker that wants three replicas, Apache Kafka's default.
    Then the coordinator is never available, and a client waits for it for ever without a word.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch = ClientWatch()
        self._client: AdminClient | None = None

    def obstacles(self, *, guesses: bool = True) -> list[str]:
        """Of each that the worker needs, as `obstacle`.

        Args:
            guesses: whether it is told too where this user may not see the topic, as most may not.
        """
        exactly_once = self._settings.delivery is Delivery.EXACTLY_ONCE
        needed = (TRANSACTIONS, OFFSETS) if exactly_once else (OFFSETS,)
        found = [self.obstacle(topic, guesses=guesses) for topic in needed]
        return [*dict.fromkeys(one for one in found if one)]

    def obstacle(self, topic: InternalTopic, *, guesses: bool = True) -> str:
        """Why the topic cannot be used, and what would be right; empty where nothing is known to
        be wrong with it. Blocks for some seconds at most.
        """
        client = self._asking()
        try:
            found = client.list_topics(topic.name, timeout=_ANSWER_S)
        except KafkaException:
            return ""  # no broker answers, which is said elsewhere
        # A coordinator is a broker that has to be reached where it says that it is.
        for broker in list(found.brokers.values())[:_BROKERS]:
            if why := refusal(self._settings, [(broker.host, broker.port)]):
                return why
        there = found.topics.get(topic.name)
        error = None if there is None else there.error
        if there is None or (error is not None and error.code() in UNKNOWN_TOPIC):
            return self._why_missing(client, topic, sorted(found.brokers))
        if error is not None:
            is_told = guesses and error.code() in PERMANENT
            return _unknown(topic, len(found.brokers), error) if is_told else ""
        return self._why_unusable(client, topic, there.partitions)

    def _asking(self) -> AdminClient:
        if self._client is None:
            defaults = {**ASKING_PROPERTIES, "allow.auto.create.topics": False}
            self._client = make_client(AdminClient, self._settings, self._watch, defaults, {})
        self._watch.renew(self._client)
        return self._client

    def _why_missing(self, client: AdminClient, topic: InternalTopic, brokers: list[int]) -> str:
        try:
            wanted = max(
                _config(client, ResourceType.BROKER, str(one), topic.replicas)
                for one in brokers[:_BROKERS]
            )
        except KafkaException as failed:
            error = error_of(failed)
            # Anything else than a refusal may be over at the next look.
            return _unknown(topic, len(brokers), error) if error.code() in PERMANENT else ""
        if wanted <= len(brokers):
            return ""  # it is created by and by
        return (
            f"the brokers cannot create the internal topic {topic.name}, which holds "
            f"{topic.holds}: {topic.replicas} is {wanted}, and {_there(len(brokers))}; "
            f"start {_more(wanted - len(brokers))}, or set {topic.replicas}={len(brokers)} on the "
            "brokers"
        )

    def _why_unusable(
        self, client: AdminClient, topic: InternalTopic, partitions: Mapping[int, Any]
    ) -> str:
        without = [one for one in partitions.values() if one.leader < 0]
        if without:
            away = sorted({broker for one in without for broker in one.replicas})
            return (
                f"{len(without)} of the {len(partitions)} partitions of the internal topic "
                f"{topic.name} have no leader, since the brokers that hold them are away "
                f"({', '.join(map(str, away))}); start these"
            )
        try:
            least = _config(client, ResourceType.TOPIC, topic.name, "min.insync.replicas")
        except KafkaException:
            return ""
        # Brokers want no more in sync than there are.
        few = [one for one in partitions.values() if len(one.isrs) < min(least, len(one.replicas))]
        if few:
            away = sorted({broker for one in few for broker in {*one.replicas} - {*one.isrs}})
            return (
                f"{len(few)} of the {len(partitions)} partitions of the internal topic "
                f"{topic.name} have fewer replicas in sync than its min.insync.replicas={least} "
                f"(brokers {', '.join(map(str, away))} are away); start these, or lower "
                f"min.insync.replicas of {topic.name}"
            )
        return ""


def _config(client: AdminClient, kind: ResourceType, name: str, setting: str) -> int:
    """A setting of a broker or a topic; 0 where there is none, as in other makes of brokers.

    Raises:
        KafkaException: no answer, or this user may not read it.
    """
    resource = ConfigResource(kind, name)
    answer = client.describe_configs([resource], request_timeout=_ANSWER_S)[resource]
    entry = answer.result().get(setting)
    return int(entry.value) if entry is not None and entry.value else 0


def _unknown(topic: InternalTopic, brokers: int, error: KafkaError) -> str:
    """What can be said where this user may not see more."""
    return (
        f"the internal topic {topic.name}, which holds {topic.holds}, does not exist or may not be "
        f"seen ({error.str().strip()}); {_there(brokers)}, and {topic.replicas} on the brokers "
        "must not be more than that"
    )


def _there(brokers: int) -> str:
    return "1 broker is there" if brokers == 1 else f"{brokers} brokers are there"


def _more(brokers: int) -> str:
    return "1 more broker" if brokers == 1 else f"{brokers} more brokers"
