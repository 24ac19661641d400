"""What the consumer, the producers and the admin client have in common."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.dependent_properties import client_defaults, is_kind
from consumer.kafka.errors import PERMANENT, UNKNOWN_TOPIC, error_of, problem
from consumer.kafka.refused_properties import MUTE, REFUSALS, explained
from consumer.kafka.security.access import topic_refusal
from consumer.kafka.security.refusals import (
    AUTHENTICATION,
    authentication_problem,
    reason_of,
    refusal,
)
from consumer.kafka.security.rotation import Rotation
from consumer.settings.schema import Settings
from consumer.settings.secrets import with_secrets

Client = TypeVar("Client")
Answer = TypeVar("Answer")

#: Properties of a client that only asks. While a question waits for a broker that is down,
#: librdkafka 2.16 by its default connects to it thousands of times a second, which takes a core.
ASKING_PROPERTIES: Mapping[str, Any] = {"enable.sparse.connections": False}

#: How long a broker may take to answer, and a topic to appear, before the worker gives up.
OPEN_TIMEOUT_S = 10.0

#: Seconds for the first answer; where none comes, the reason is looked for at once.
_FIRST_S = 2.0

#: Milliseconds between two of a client's reports of itself.
STATISTICS_MS = 3_000

#: What `settings.kafka` may change.
_DEFAULTS: Mapping[str, Any] = {
    "client.id": "nerstream",
    # With `rebootstrap`, its default, librdkafka 2.16 forgets the coordinator of a transaction
    # when all brokers are down for a moment, and then waits for it for ever.
    "metadata.recovery.strategy": "none",
    # A broker that is back is found within a second, as by Apache Kafka's own clients; librdkafka's
    # default, 10 s, is longer than most restarts take.
    "reconnect.backoff.max.ms": 1_000,
    # How often a client tells which brokers it knows: see `ClientWatch.is_stranded`.
    "statistics.interval.ms": STATISTICS_MS,
}

#: The sources, in librdkafka's statistics, of brokers that a client can talk to. The other entries
#: are its own threads, and names for coordinators that borrow the address of such a broker.
_KNOWN = frozenset({"configured", "learned"})

#: Statistics in a row without a broker before a client counts as stranded: where a person sets
#: `metadata.recovery.strategy` to `rebootstrap`, there may be none for a moment.
_LOOKS = 2

#: A topic that is being created, or whose partitions have no leader yet, answers with these.
_NOT_YET = UNKNOWN_TOPIC | {KafkaError.LEADER_NOT_AVAILABLE}

#: Log lines of connections that fail, and what differs between two of them: times and counts.
_REPEATED = frozenset({"FAIL", "SSL", "OIDC"})
_VARYING = re.compile(r" \(after \d+ms in state .*$")

#: Seconds until the same of these is told again.
_AGAIN_S = 30.0

_log = logging.getLogger(__name__)


class ClientLog:
    """Passes librdkafka's log lines on to Python's logging.

    Consumer and producer both get all of `settings.kafka`. librdkafka warns of each property that
    is for the other kind. A person has nothing to do about those lines. And it tries a connection
    that fails once a second, for ever; the same reason is told once in `_AGAIN_S`.
    """

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def log(self, level: int, form: str, facility: str, name: str, text: str) -> None:
        """The call that the client makes for every line; `form` joins the three strings."""
        if facility == "CONFWARN" and "property and will be ignored" in text:
            return
        if facility in _REPEATED:
            reason, now = _VARYING.sub("", text), time.monotonic()
            if now - self._told.get(reason, -_AGAIN_S) < _AGAIN_S:
                return
            self._told[reason] = now
        _log.log(level, form, facility, name, text)


class ClientWatch:
    """Keeps what one client says through its callbacks, which run inside `poll` and `flush`.

    Attributes:
        last: the newest error, the reason when no broker answers.
        fatal: the error after which the client does nothing more. The client raises it where the
            callbacks run, instead of calling back; whoever catches it stores it here.
        count: errors so far; it grows when a connection breaks during a call.
    """

    def __init__(self) -> None:
        self.last: KafkaError | None = None
        self.fatal: KafkaError | None = None
        self.count = 0
        #: How often the client has told which brokers it knows.
        self.reports = 0
        #: Of a consumer: `up` where its group's coordinator is known; empty before it tells.
        self.group_state = ""
        #: How far it has joined, in librdkafka's words; `steady` is all the way.
        self.join_state = ""
        #: Of the client's password, once there is a client.
        self.rotation: Rotation | None = None
        self._looks_without_brokers = 0

    @property
    def is_stranded(self) -> bool:
        """Whether the client has forgotten all its brokers; only a new one finds them again.

        A broker that rejoins the cluster answers for a moment that there are no brokers. librdkafka
        (since 2.13; its issue 5301) believes that. It ends all its connections, those to the
        bootstrap servers too, and waits for ever, without an error.
        """
        return self._looks_without_brokers >= _LOOKS

    def renew(self, client: Any) -> None:
        """Hand the client a password that has changed; call it as often as the client is polled."""
        if self.rotation is not None:
            self.rotation.look(client)

    def statistics(self, text: str) -> None:
        """What the client tells every `statistics.interval.ms`, JSON."""
        self.reports += 1
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            # librdkafka (2.16) writes names as they are, also those with a quote or a backslash.
            return
        group = told.get("cgrp", {})
        self.group_state, self.join_state = group.get("state", ""), group.get("join_state", "")
        brokers = told["brokers"].values()
        has_any = any(one["source"] in _KNOWN for one in brokers)
        self._looks_without_brokers = 0 if has_any else self._looks_without_brokers + 1

    def __call__(self, error: KafkaError) -> None:
        self.count += 1
        # "All brokers are down" follows each failed connection and says less than its reason.
        if self.last is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.last = error


def make_client(
    kind: Callable[[dict[str, Any]], Client],
    settings: Settings,
    watch: ClientWatch,
    defaults: Mapping[str, Any],
    required: Mapping[str, Any],
    *,
    dry: bool = False,
    log: ClientLog | None = None,
) -> Client:
    """Make a consumer, a producer or an admin client.

    Args:
        kind: its class.
        settings: for the brokers and the properties that the person passes through.
        watch: hears its errors and statistics.
        defaults: properties that `settings.kafka` may change.
        required: properties that it may not; they are reserved, so that it never names them.
        dry: whether the client is only tried out: it connects to nothing and logs nothing.
        log: hears its log lines; None passes them on to Python's logging.

    Raises:
        SettingsError: a passed-through property is unknown, has a wrong value or contradicts
            another one.
    """
    passed = with_secrets("kafka", settings.kafka)
    config = {
        **client_defaults(kind, settings, {**_DEFAULTS, **defaults}),
        **passed,
        **required,
        "bootstrap.servers": "" if dry else settings.bootstrap_servers,
        "logger": MUTE if dry else log or ClientLog(),
        "error_cb": watch,
        "stats_cb": watch.statistics,
    }
    if not dry:
        watch.rotation = Rotation(settings, tells=is_kind(kind, Consumer))
    try:
        return kind(config)
    except REFUSALS as wrong:
        raise explained(kind, settings, passed, wrong) from wrong


def await_topics(
    client: Any, watch: ClientWatch, settings: Settings, topics: Mapping[str, str]
) -> None:
    """Wait until the brokers answer and these topics exist.

    A producer's question for a topic creates it where the broker is set to do so, which takes
    a moment; a consumer's does not.

    Args:
        client: a consumer or a producer.
        watch: its errors.
        topics: for each topic, the setting that names it.

    Raises:
        KafkaProblem: no broker answers, access is denied, or a topic is missing.
    """
    deadline = time.monotonic() + OPEN_TIMEOUT_S
    for topic, setting in topics.items():
        heard: KafkaError | None = None
        while True:
            try:
                error = _ask_for(client, watch, settings, topic, deadline)
            except KafkaProblem:
                # What they have said of the topic tells more than that they were too busy to say
                # it again.
                if heard is None or time.monotonic() <= deadline:
                    raise
                error = heard
            if error is None:
                break
            if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise KafkaProblem(topic_refusal(settings, topic, setting))
            if time.monotonic() > deadline or error.code() not in _NOT_YET:
                raise problem(f"the topic {topic} ({setting}) cannot be used", error)
            heard = error
            time.sleep(0.1)


def _ask_for(
    client: Any, watch: ClientWatch, settings: Settings, topic: str, deadline: float
) -> KafkaError | None:
    """What the brokers say about a topic; None when it is there."""
    found = answered(
        lambda left_s: client.list_topics(topic, timeout=left_s).topics.get(topic),
        *(client, watch, settings, deadline),
    )
    if found is None:
        return KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    if found.error is None and not found.partitions:
        return KafkaError(KafkaError.LEADER_NOT_AVAILABLE)
    error_found: KafkaError | None = found.error
    return error_found


def answered(
    ask: Callable[[float], Answer],
    client: Any,
    watch: ClientWatch,
    settings: Settings,
    deadline: float,
) -> Answer:
    """The brokers' answer; asks again while none comes.

    Args:
        ask: makes the call, which may take so many seconds.
        client: of the call.
        watch: its errors.
        deadline: monotonic seconds.

    Raises:
        KafkaProblem: no broker answers, or access is denied.
    """
    most_s = _FIRST_S
    while True:
        try:
            return ask(max(min(deadline - time.monotonic(), most_s), 0.1))
        except KafkaException as failed:
            error = passing(failed, client, watch, settings)
            is_over = time.monotonic() > deadline
            # A broker that is away may be back at the last moment, with a wrong certificate.
            if (most_s == _FIRST_S or is_over) and (why := refusal(settings)):
                raise KafkaProblem(why) from None
            if is_over:
                raise KafkaProblem(
                    f"no broker answers at {settings.bootstrap_servers} ({reason_of(error)}); "
                    "check bootstrap_servers, the network, and kafka.security.protocol"
                ) from failed
            most_s = OPEN_TIMEOUT_S
            time.sleep(0.1)


def passing(
    failed: KafkaException, client: Any, watch: ClientWatch, settings: Settings
) -> KafkaError:
    """The reason why a call failed, if another try may help.

    Args:
        client: hears the reason.
        watch: its errors.

    Raises:
        KafkaProblem: access is denied.
    """
    # The reason comes through the error callback, which runs in poll only.
    client.poll(0)
    said = error_of(failed)
    error = said if said.code() in PERMANENT else watch.last or said
    if error.code() in AUTHENTICATION:
        raise KafkaProblem(authentication_problem(settings, error)) from None
    if error.code() in PERMANENT:
        raise problem(f"the brokers at {settings.bootstrap_servers} refuse", error) from None
    return error
