"""ClusterSurvey: the one who gathers what is to be known of a cluster, and writes nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, OffsetSpec, ResourceType

from consumer.contracts.choices import Delivery, OffsetReset
from consumer.contracts.cluster import (
    Arrivals,
    Bounds,
    Broker,
    ClientLimits,
    Cluster,
    Group,
    Listener,
    Topic,
    Unknown,
)
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.addresses import split_bootstrap
from consumer.kafka.client import ASKING_PROPERTIES, ClientWatch, answered, make_client
from consumer.kafka.dependent_properties import (
    MAX_POLL_INTERVAL_MS,
    Properties,
    client_defaults,
    session_timeout_ms,
)
from consumer.kafka.errors import error_of, problem
from consumer.kafka.internal_topics import OFFSETS, TRANSACTIONS, InternalTopics
from consumer.kafka.security.access import group_refusal
from consumer.kafka.security.handshake import own_certificate
from consumer.kafka.security.refusals import refusal
from consumer.kafka.sink.instance import transactional_id
from consumer.kafka.sink.properties import DEFAULTS
from consumer.kafka.survey.access import TOO_LONG_MS, look_at_group, transactional_id_problem
from consumer.kafka.survey.asking import ANSWER_S, configs, describe_topics, said
from consumer.kafka.survey.clock import look_at_clock, newest_timestamp
from consumer.kafka.survey.features import DEBUG, FeatureLog
from consumer.kafka.survey.listeners import try_all
from consumer.kafka.survey.reading import (
    bounds_of,
    committed_by,
    group_reader,
    offsets_at,
    read_spans,
)
from consumer.settings.schema import Settings
from consumer.settings.topic_patterns import is_pattern, takes_in

#: Seconds for any broker to answer at all.
FIRST_ANSWER_S = 10.0

#: librdkafka's default of the largest answer.
_RECEIVE_MAX_BYTES = 100_000_000

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000

#: Partitions whose first waiting message is read, for its timestamp.
_FIRST_OF = 64


class ClusterSurvey:
    """Asks with clients of its own. Every question is one that changes nothing: no group is joined,
    no offset committed, no topic of anybody's made, no transaction begun. One thread at a time.

    Args:
        settings: those of the worker.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch = ClientWatch()
        self._log = FeatureLog()
        self._client: AdminClient = make_client(
            AdminClient,
            settings,
            self._watch,
            ASKING_PROPERTIES,
            {"allow.auto.create.topics": False, **DEBUG},
            log=self._log,
        )

    def cluster(self) -> Cluster:
        """All that is to be known. Blocks for seconds; for half a minute where brokers are silent.

        Raises:
            SettingsError: a librdkafka property is wrong.
        """
        settings = self._settings
        limits = client_limits(settings)
        bootstrap = tuple(try_all(split_bootstrap(settings.bootstrap_servers)))
        try:
            known = answered(
                lambda left_s: self._client.list_topics(timeout=left_s),
                *(self._client, self._watch, settings, time.monotonic() + FIRST_ANSWER_S),
            )
        except KafkaProblem as why:
            return Cluster(limits, bootstrap=bootstrap, problem=str(why))
        brokers = self._brokers(known.brokers.values())
        self._client.poll(0)  # the client's log lines come in here
        names, unmatched = self._topic_names(known.topics)
        topics = describe_topics(self._client, names)
        there = [one.name for one in (OFFSETS, TRANSACTIONS) if one.name in known.topics]
        internal = describe_topics(self._client, dict.fromkeys(there, ""))
        hidden = self._hidden({OFFSETS.name, TRANSACTIONS.name}.difference(there))
        internal += hidden
        group, txn_id, txn_problem = self._access([one.name for one in internal], brokers)
        return Cluster(
            limits,
            bootstrap=bootstrap,
            brokers=brokers,
            apis=self._log.apis(),
            topics=tuple(topics),
            unmatched=tuple(unmatched),
            internal=tuple(internal),
            obstacles=tuple(InternalTopics(settings).obstacles(guesses=False)),
            group=group,
            transactional_id=txn_id,
            transactional_id_problem=txn_problem,
            clock=look_at_clock(self._client, _stamped([*topics, *internal])),
            arrivals=self._arrivals(topics, knows_group=OFFSETS.name in there),
            certificate_ends_ms=self._certificate_ends_ms(),
            now_ms=round(time.time() * 1000),
        )

    def _certificate_ends_ms(self) -> int | None:
        own = own_certificate(self._settings.kafka)
        return None if own is None else round(own.ends.timestamp() * 1000)

    def sample(self, topics: Sequence[Topic], count: int) -> list[RawMessage]:
        """The newest messages of the input, from all its partitions alike.

        Raises:
            KafkaProblem: reading cannot go on.
        """
        bounds = bounds_of(self._client, _partitions(topics))
        reader = group_reader(self._settings, self._settings.group_id)
        try:
            return read_spans(reader, newest_spans(bounds, count))
        except KafkaException as failed:
            raise problem("reading the input stopped", error_of(failed)) from failed
        finally:
            reader.close()

    def _brokers(self, found: Iterable[Any]) -> tuple[Broker, ...]:
        found = sorted(found, key=lambda one: one.id)
        listeners = [
            self._let_in(one, at)
            for one, at in zip(found, try_all((one.host, one.port) for one in found), strict=True)
        ]
        reached = [str(one.id) for one, at in zip(found, listeners, strict=True) if not at.problem]
        settings = configs(self._client, ResourceType.BROKER, reached)
        nothing = Unknown("it cannot be reached")
        return tuple(
            Broker(one.id, at, settings.get(str(one.id), nothing))
            for one, at in zip(found, listeners, strict=True)
        )

    def _hidden(self, names: Iterable[str]) -> list[Topic]:
        """The brokers' own topics that this user may not see, as most may not. Brokers do not tell
        whether they are there. To ask on has them made where they are not, as the first worker
        does; and it is the only way to know of the group."""
        found = []
        for name in sorted(names):
            try:
                topic = self._client.list_topics(name, timeout=ANSWER_S).topics.get(name)
            except KafkaException:
                continue
            error = None if topic is None else topic.error
            if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                found.append(Topic(name, "", said(KafkaException(error))))
        return found

    def _let_in(self, broker: Any, at: Listener) -> Listener:
        """A listener that can be connected to may still refuse this client."""
        why = "" if at.problem else refusal(self._settings, [(broker.host, broker.port)])
        return replace(at, problem=why) if why else at

    def _topic_names(self, known: Iterable[str]) -> tuple[dict[str, str], list[str]]:
        """The topics to look at, each with its setting, and patterns that take in none."""
        settings = self._settings
        names = {settings.output_topic: "output_topic"}
        names[settings.dead_letter_topic] = "dead_letter_topic"
        unmatched = []
        for entry in settings.input_topics:
            taken = [entry]
            if is_pattern(entry):
                taken = sorted(one for one in known if takes_in(entry, one))
                if not taken:
                    unmatched.append(entry)
            names.update(dict.fromkeys(taken, "input_topics"))
        return names, unmatched

    def _access(
        self, there: Sequence[str], brokers: Iterable[Broker]
    ) -> tuple[Group | Unknown, str, str | Unknown]:
        settings = self._settings
        group: Group | Unknown = Unknown(_not_yet(OFFSETS.name))
        if OFFSETS.name in there:
            group = self._group_seen() or look_at_group(self._client, settings.group_id)
        if settings.delivery is not Delivery.EXACTLY_ONCE:
            return group, "", ""
        name = transactional_id(settings.group_id, settings.instance or f"{socket.gethostname()}-0")
        problem: str | Unknown = Unknown(_not_yet(TRANSACTIONS.name))
        if any(
            not isinstance(one.config, Unknown)
            and one.config.get("transaction.max.timeout.ms") == str(TOO_LONG_MS)
            for one in brokers
        ):
            problem = Unknown("the brokers take any timeout, and to ask would write")
        elif TRANSACTIONS.name in there:
            problem = transactional_id_problem(settings, name)
        return group, name, problem

    def _group_seen(self) -> Group | Unknown | None:
        """What a consumer hears of the group; None where an admin client may ask for more. One that
        finds no coordinator takes the process with it (librdkafka 2.16)."""
        reader = group_reader(self._settings, self._settings.group_id)
        try:
            committed_by(reader, [TopicPartition(self._settings.output_topic, 0)])
        except KafkaException as failed:
            if group_refusal(reader, self._settings):
                return Group(operations=frozenset())
            return Unknown(said(failed))
        finally:
            reader.close()
        return None

    def _arrivals(self, topics: Sequence[Topic], *, knows_group: bool) -> Arrivals | Unknown:
        partitions = _partitions([one for one in topics if one.setting == "input_topics"])
        bounds = bounds_of(self._client, partitions)
        if not bounds:
            return Unknown("no partition of the input could be asked")
        reader = group_reader(self._settings, self._settings.group_id)
        try:
            committed = committed_by(reader, list(bounds)) if knows_group else {}
            starts = {one: self._start(one, committed, at) for one, at in bounds.items()}
            firsts = {
                one: (start, start + 1)
                for one, start in starts.items()
                if start < bounds[one].stable_end
            }
            first = read_spans(reader, dict(list(firsts.items())[:_FIRST_OF]))
        except KafkaException as failed:
            return Unknown(said(failed))
        finally:
            reader.close()
        stamps = [one.timestamp_ms for one in first if one.timestamp_ms is not None]
        now_ms = round(time.time() * 1000)
        return Arrivals(
            waiting=sum(bounds[one].stable_end - start for one, start in starts.items()),
            oldest_ms=min(stamps, default=None),
            newest_ms=newest_timestamp(self._client, list(bounds)),
            last_hour=self._since(bounds, now_ms - _HOUR_MS),
            last_day=self._since(bounds, now_ms - _DAY_MS),
        )

    def _start(
        self, one: TopicPartition, committed: Mapping[TopicPartition, int], at: Bounds
    ) -> int:
        """Where the group begins, or goes on."""
        begins_at_end = self._settings.auto_offset_reset is OffsetReset.LATEST and not committed
        fresh = at.stable_end if begins_at_end else at.begin
        return min(max(committed.get(one, fresh), at.begin), at.stable_end)

    def _since(self, bounds: Mapping[TopicPartition, Bounds], moment_ms: int) -> int:
        found = offsets_at(self._client, bounds, OffsetSpec.for_timestamp(moment_ms))
        return sum(
            max(bounds[one].stable_end - offset, 0) for one, offset in found.items() if offset >= 0
        )


def client_limits(settings: Settings) -> ClientLimits:
    """What the worker's own clients are set to.

    Raises:
        SettingsError: two properties contradict each other.
    """
    producer = Properties(settings.kafka, client_defaults(Producer, settings, DEFAULTS))
    consumer = Properties(settings.kafka, client_defaults(Consumer, settings, {}))
    return ClientLimits(
        message_max_bytes=producer.number("message.max.bytes", 0),
        receive_max_bytes=consumer.number("receive.message.max.bytes", _RECEIVE_MAX_BYTES),
        session_timeout_ms=session_timeout_ms(settings),
        max_poll_interval_ms=consumer.number("max.poll.interval.ms", MAX_POLL_INTERVAL_MS),
    )


def newest_spans(
    bounds: Mapping[TopicPartition, Bounds], count: int
) -> dict[TopicPartition, tuple[int, int]]:
    """The last offsets of each partition, so many in all. Long partitions make up for what short
    ones lack."""
    left, spans = count, {}
    by_length = sorted(bounds.items(), key=lambda one: one[1].stable_end - one[1].begin)
    for at, (one, found) in enumerate(by_length):
        share = -(-left // (len(by_length) - at))
        taken = min(share, found.stable_end - found.begin)
        left -= taken
        if taken:
            spans[one] = (found.stable_end - taken, found.stable_end)
    return spans


def _partitions(topics: Iterable[Topic]) -> list[TopicPartition]:
    return [
        TopicPartition(one.name, part)
        for one in topics
        if not one.problem
        for part in range(one.partitions)
    ]


def _stamped(topics: Iterable[Topic]) -> dict[str, int]:
    """Topics whose messages the brokers stamp by their own clock."""
    return {
        one.name: one.partitions
        for one in topics
        if not one.problem
        and (
            one.name == OFFSETS.name
            or (
                not isinstance(one.config, Unknown)
                and one.config.get("message.timestamp.type") == "LogAppendTime"
            )
        )
    }


def _not_yet(topic: str) -> str:
    return f"the brokers make {topic} when it is first needed, and to ask would make it"
