"""Places: which offsets topics have, a group has committed, and times stand for."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaException,
)
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.client import OPEN_TIMEOUT_S, ClientWatch, answered, await_topics, make_client
from consumer.kafka.closing import Closing
from consumer.kafka.errors import error_of, problem
from consumer.settings.schema import Settings
from consumer.settings.topic_patterns import is_pattern, takes_in

#: Seconds beside the timeout of a request in which the client says that it is over.
_GRACE_S = 5.0


class Places(Closing):
    """Asks the brokers; joins no group and commits nothing. One thread.

    Args:
        settings: how to reach the brokers, and the group.

    Raises:
        SettingsError: a librdkafka property is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch = ClientWatch()
        self._client: Any = make_client(
            Consumer,
            settings,
            self._watch,
            {},
            {
                "group.id": settings.group_id,
                "enable.auto.commit": False,
                # A client that reads committed messages only gets no offsets of the group while a
                # transaction holds any of them, and no ends behind an open transaction.
                "isolation.level": "read_uncommitted",
            },
        )

    def topics(self, entries: Sequence[str], setting: str) -> Mapping[str, Sequence[int]]:
        """The partitions of each topic that these names and patterns take in.

        Args:
            setting: that has them, for an error.

        Raises:
            KafkaProblem: no broker answers, a topic is missing, or a pattern takes none in.
        """
        names = [one for one in entries if not is_pattern(one)]
        await_topics(self._client, self._watch, self._settings, dict.fromkeys(names, setting))
        found = self._ask(lambda left_s: self._client.list_topics(timeout=left_s)).topics
        for pattern in filter(is_pattern, entries):
            matching = sorted(name for name in found if takes_in(pattern, name))
            if not matching:
                raise KafkaProblem(f"there is no topic that the pattern {pattern} takes in")
            names += matching
        return {name: sorted(found[name].partitions) for name in dict.fromkeys(names)}

    def cluster_id(self) -> str:
        """The cluster's id; empty where the brokers tell none."""
        found = self._ask(lambda left_s: self._client.list_topics(timeout=left_s))
        return str(found.cluster_id or "")

    def starts(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that each still has."""
        return self._offsets(partitions, OFFSET_BEGINNING)

    def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that each writes next, behind open transactions as well."""
        return self._offsets(partitions, OFFSET_END)

    def at(self, partitions: Iterable[TopicPartition], time_ms: int) -> dict[TopicPartition, int]:
        """The first offset of each whose message is not older; the end where there is none.

        Args:
            time_ms: since the epoch; negative before it, where no message is older.
        """
        partitions = list(partitions)
        ends = self.ends(partitions)
        # Times below 0 are words of the protocol: -1 asks for the end.
        found = self._offsets(partitions, max(time_ms, 0))
        return {one: ends[one] if found[one] < 0 else found[one] for one in partitions}

    def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """What the group has committed, where it has."""
        asked = [confluent_kafka.TopicPartition(*one) for one in partitions]
        answers = self._ask(lambda left_s: self._client.committed(asked, left_s))
        self._check(answers)
        return {_partition(one): one.offset for one in answers if one.offset >= 0}

    def compacted(self, topics: Collection[str]) -> frozenset[str]:
        """Those that keep the newest message of a key only; none where the brokers do not say."""
        admin: Any = make_client(AdminClient, self._settings, ClientWatch(), {}, {})
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
        found = set()
        for one, answer in admin.describe_configs(asked, request_timeout=OPEN_TIMEOUT_S).items():
            try:
                policy = answer.result(OPEN_TIMEOUT_S + _GRACE_S).get("cleanup.policy")
            except (KafkaException, TimeoutError):
                continue  # to read a configuration is a right of its own
            if policy is not None and "compact" in (policy.value or ""):
                found.add(one.name)
        return frozenset(found)

    def close(self) -> None:
        """Release the connections."""
        self._client.close()

    def _offsets(
        self, partitions: Iterable[TopicPartition], which: int
    ) -> dict[TopicPartition, int]:
        asked = [confluent_kafka.TopicPartition(*one, which) for one in partitions]
        if not asked:
            return {}
        answers = self._ask(lambda left_s: self._client.offsets_for_times(asked, timeout=left_s))
        self._check(answers)
        return {_partition(one): one.offset for one in answers}

    def _check(self, answers: Sequence[Any]) -> None:
        for one in answers:
            if one.error is not None:
                doing = f"the offsets of {one.topic}[{one.partition}] cannot be asked for"
                raise problem(doing, error_of(KafkaException(one.error)))

    def _ask(self, ask: Any) -> Any:
        deadline = time.monotonic() + OPEN_TIMEOUT_S
        return answered(ask, self._client, self._watch, self._settings, deadline)


def _partition(answer: Any) -> TopicPartition:
    return TopicPartition(answer.topic, answer.partition)
