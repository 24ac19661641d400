"""Properties that a person passes through: refused, followed by their dependents, or really used.
Every client is a real one; no broker is needed."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from consumer.contracts.choices import Delivery, GroupProtocol
from consumer.contracts.errors import SettingsError
from consumer.kafka import dependent_properties
from consumer.kafka.client import ASKING_PROPERTIES, ClientWatch, make_client
from consumer.kafka.client_check import check_clients
from consumer.kafka.dependent_properties import client_defaults
from consumer.kafka.sink.properties import DEFAULTS, REQUIRED, delivery_properties
from consumer.kafka.source.properties import consumer_properties, session_s
from consumer.settings.reserved import RESERVED_KAFKA_PROPERTIES, names_of
from consumer.settings.schema import Settings

MIB = 1024 * 1024


def of_consumer(**more: Any) -> dict[str, Any]:
    settings = Settings(**more)
    return dict(client_defaults(Consumer, settings, consumer_properties(settings)[0]))


def of_producer(**more: Any) -> dict[str, Any]:
    return dict(client_defaults(Producer, Settings(**more), DEFAULTS))


@pytest.mark.parametrize("protocol", list(GroupProtocol))
@pytest.mark.parametrize("delivery", list(Delivery))
def test_what_the_worker_requires_no_person_can_pass_through(
    protocol: GroupProtocol, delivery: Delivery
) -> None:
    settings = Settings(group_protocol=protocol, delivery=delivery)
    made_by_hand = {"bootstrap.servers", "logger", "error_cb", "stats_cb", "on_commit"}
    required = {
        *consumer_properties(settings)[1],
        *REQUIRED,
        *delivery_properties(settings, "x"),
        *made_by_hand,
    }
    for name in required:
        assert set(names_of(name)) <= RESERVED_KAFKA_PROPERTIES.keys()


#: What a person may set, beside what the defaults of librdkafka or the worker would contradict.
TAKEN = [
    {"message.max.bytes": "4194305"},
    {"message.max.bytes": "1000"},
    {"message.max.bytes": "104857600"},
    {"message.max.bytes": "1000000000"},
    {"fetch.max.bytes": "500000"},
    {"fetch.max.bytes": "100000000"},
    {"fetch.max.bytes": "2147483135"},
    {"receive.message.max.bytes": "2000"},
    {"receive.message.max.bytes": "1512"},
    {"fetch.max.bytes": "1000"},
    {"fetch.error.backoff.ms": "500"},
    {"receive.message.max.bytes": "1000000"},
    {"receive.message.max.bytes": "2147483647"},
    {"message.max.bytes": "2000000", "receive.message.max.bytes": "2000512"},
    {"fetch.message.max.bytes": "4096"},
    {"max.partition.fetch.bytes": "1000000000"},
    {"max.poll.interval.ms": "30000"},
    {"max.poll.interval.ms": "2000"},
    {"max.poll.interval.ms": "1000"},
    {"reconnect.backoff.ms": "5000"},
    {"reconnect.backoff.max.ms": "50"},
    {"retry.backoff.ms": "5000"},
    {"retry.backoff.max.ms": "50"},
    {"message.timeout.ms": "10"},
    {"message.timeout.ms": "1"},
    {"delivery.timeout.ms": "15"},
    {"message.timeout.ms": "0"},
    {"linger.ms": "5000"},
    {"linger.ms": "29999"},
    {"linger.ms": "0.5"},
    {"queue.buffering.max.ms": "1e3"},
    {"socket.timeout.ms": "0x7d0"},
    {"socket.timeout.ms": " +2000 "},
    {"client.id": "45s"},
    {"queue.buffering.max.ms": "0"},
    {"queue.buffering.max.kbytes": "1024"},
    {"queue.buffering.max.kbytes": "1"},
    {"queue.buffering.max.messages": "1"},
    {"max.in.flight": "1"},
    {"retries": "1"},
    {"socket.timeout.ms": "1000"},
    {"compression.codec": "zstd"},
    {"statistics.interval.ms": "0"},
    {"topic.metadata.refresh.interval.ms": "715827"},
    {"metadata.max.age.ms": "2147483", "topic.metadata.refresh.interval.ms": "2000000"},
    {
        "client.rack": "a",
        "debug": "broker",
        "client.id": "mine",
        "allow.auto.create.topics": "true",
    },
    {"enable.sparse.connections": "true"},
]

CLASSIC = [
    {"session.timeout.ms": "600000"},
    {"session.timeout.ms": "1000"},
    {"heartbeat.interval.ms": "20000"},
    {"heartbeat.interval.ms": "20000", "max.poll.interval.ms": "30000"},
    {"session.timeout.ms": "6000", "heartbeat.interval.ms": "5999"},
    {"group.instance.id": "one"},
]


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize(
    ("kafka", "protocol"),
    [(kafka, protocol) for kafka in TAKEN for protocol in GroupProtocol]
    + [(kafka, GroupProtocol.CLASSIC) for kafka in CLASSIC],
    ids=str,
)
def test_no_default_contradicts_what_a_person_sets_and_the_clients_get_it(
    kafka: dict[str, str],
    protocol: GroupProtocol,
    delivery: Delivery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(kafka=kafka, group_protocol=protocol, delivery=delivery)
    check_clients(settings)

    got: dict[str, Any] = {}

    class Client:
        def __init__(self, config: dict[str, Any]) -> None:
            got.clear()
            got.update(config)

    required = {**delivery_properties(settings, "x"), **REQUIRED}
    for name, properties in (
        ("Consumer", consumer_properties(settings)),
        ("Producer", (DEFAULTS, required)),
        ("Admin", (ASKING_PROPERTIES, {})),
    ):
        if name != "Admin":
            monkeypatch.setattr(dependent_properties, name, Client)
        make_client(Client, settings, ClientWatch(), *properties)
        monkeypatch.undo()
        for one, text in kafka.items():
            assert got[one] == text
            # Of two names the client takes the one that it is told last.
            assert [alias for alias in names_of(one) if alias in got] == [one]


def test_what_depends_on_the_longest_message_moves_with_it() -> None:
    assert of_consumer()["fetch.max.bytes"] == 4 * MIB
    moved = of_consumer(kafka={"message.max.bytes": str(20 * MIB)})
    assert moved["fetch.max.bytes"] == moved["max.partition.fetch.bytes"] == 20 * MIB
    assert of_consumer(kafka={"fetch.max.bytes": "500000"})["message.max.bytes"] == 500_000
    small = of_consumer(kafka={"receive.message.max.bytes": "1000000"})
    assert (small["fetch.max.bytes"], small["message.max.bytes"]) == (999_488, 999_488)
    assert of_producer(kafka={"queue.buffering.max.kbytes": "2048"})["message.max.bytes"] == 2 * MIB
    writer = {"queue.buffering.max.kbytes": 65_536}
    long = Settings(kafka={"message.max.bytes": "100000001"})
    assert client_defaults(Producer, long, writer) == {"queue.buffering.max.kbytes": 97_657}


def test_what_depends_on_the_session_moves_with_it() -> None:
    def moved(**kafka: str) -> tuple[Any, ...]:
        passed = {name.replace("_", "."): text for name, text in kafka.items()}
        them = of_consumer(kafka=passed)
        names = ("session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms")
        return tuple(them.get(name) for name in names)

    assert moved() == (None, None, None)
    assert moved(max_poll_interval_ms="30000") == (30_000, None, None)
    assert moved(max_poll_interval_ms="3000") == (3_000, 1_000, None)
    assert moved(session_timeout_ms="600000") == (None, None, 600_000)
    assert moved(session_timeout_ms="2400") == (None, 800, None)
    assert moved(heartbeat_interval_ms="20000") == (60_000, None, None)
    assert session_s(Settings(kafka={"max.poll.interval.ms": "30000"})) == 30
    assert session_s(Settings(kafka={"session.timeout.ms": "7000"})) == 7
    assert session_s(Settings()) == 45


def test_the_wait_for_more_stays_under_the_life_of_a_message() -> None:
    assert of_producer(kafka={"message.timeout.ms": "10"})["linger.ms"] == 9
    assert of_producer(kafka={"message.timeout.ms": "0"})["linger.ms"] == 20
    assert "linger.ms" not in of_producer(kafka={"queue.buffering.max.ms": "7"})


@pytest.mark.parametrize(
    ("kafka", "blamed", "said"),
    [
        (
            {"message.max.bytes": "5000", "fetch.max.bytes": "4000"},
            "fetch.max.bytes",
            "4000 is too little for kafka.message.max.bytes=5000; it must be at least 5000",
        ),
        (
            {"message.max.bytes": "5000", "receive.message.max.bytes": "5511"},
            "receive.message.max.bytes",
            "5511 is too little for kafka.message.max.bytes=5000; it must be at least 5512",
        ),
        (
            {"fetch.max.bytes": "2000000", "receive.message.max.bytes": "2000000"},
            "receive.message.max.bytes",
            "2000000 is too little for kafka.fetch.max.bytes=2000000; it must be at least 2000512",
        ),
        (
            {"message.max.bytes": "2048", "queue.buffering.max.kbytes": "1"},
            "queue.buffering.max.kbytes",
            "1 is too little for kafka.message.max.bytes=2048; it must be at least 2",
        ),
        (
            {"session.timeout.ms": "6000", "heartbeat.interval.ms": "6000"},
            "session.timeout.ms",
            "6000 is too little for kafka.heartbeat.interval.ms=6000; it must be at least 6001",
        ),
        (
            {"session.timeout.ms": "6000", "max.poll.interval.ms": "5000"},
            "max.poll.interval.ms",
            "5000 is too little for kafka.session.timeout.ms=6000; it must be at least 6000",
        ),
        (
            {"reconnect.backoff.ms": "500", "reconnect.backoff.max.ms": "400"},
            "reconnect.backoff.max.ms",
            "400 is too little for kafka.reconnect.backoff.ms=500; it must be at least 500",
        ),
        (
            {"retry.backoff.ms": "500", "retry.backoff.max.ms": "400"},
            "retry.backoff.max.ms",
            "400 is too little for kafka.retry.backoff.ms=500; it must be at least 500",
        ),
        (
            {"topic.metadata.refresh.interval.ms": "-1"},
            "topic.metadata.refresh.interval.ms",
            "-1 would leave new partitions unread",
        ),
        (
            {"topic.metadata.refresh.interval.ms": "715828"},
            "topic.metadata.refresh.interval.ms",
            "715828 is too much: librdkafka cannot reckon with it, and would forget at once what "
            "it hears of topics; it must be at most 715827",
        ),
        (
            {"topic.metadata.refresh.interval.ms": "9000000", "metadata.max.age.ms": "9000"},
            "topic.metadata.refresh.interval.ms",
            "it must be at most 2147483",
        ),
        (
            {"fetch.max.bytes": "999"},
            "fetch.max.bytes",
            "999 is too little: an answer holds the longest message, and librdkafka takes none "
            "shorter than 1000 bytes; it must be at least 1000",
        ),
        ({"receive.message.max.bytes": "1511"}, None, "1511 is too little"),
        (
            {"fetch.error.backoff.ms": "499"},
            None,
            "499 is too little: a topic that is made again would be read before the worker hears "
            "of it; it must be at least 500",
        ),
        ({"metadata.max.age.ms": "2147484"}, "metadata.max.age.ms", "it must be at most 2147483"),
        (
            {"message.timeout.ms": "40000"},
            None,
            "40000 is too much for transaction_timeout_ms=30000; it must be at most 30000; "
            "lower it, or raise transaction_timeout_ms",
        ),
        ({"delivery.timeout.ms": "40000"}, None, "it must be at most 30000; lower it"),
        ({"socket.timeout.ms": "60000"}, None, "it must be at most 30100; lower it"),
        (
            {"linger.ms": "30", "message.timeout.ms": "30"},
            "message.timeout.ms",
            "30 is too little for kafka.linger.ms=30; it must be at least 31",
        ),
        (
            {"queue.buffering.max.ms": "30", "delivery.timeout.ms": "30"},
            "delivery.timeout.ms",
            "30 is too little for kafka.queue.buffering.max.ms=30; it must be at least 31",
        ),
        (
            {"linger.ms": "30000"},
            None,
            "30000 is too much for transaction_timeout_ms=30000; it must be at most 29999; "
            "lower it, or raise transaction_timeout_ms",
        ),
        (
            {"max.in.flight.requests.per.connection": "6"},
            None,
            "6 is too much: with more at once order would not hold; it must be at most 5",
        ),
        ({"max.in.flight": "6"}, None, "it must be at most 5"),
        (
            {"message.send.max.retries": "0"},
            None,
            "0 is too little: a message that a broker has missed would be lost; "
            "it must be at least 1",
        ),
        ({"retries": "0"}, None, "it must be at least 1"),
        (
            {"max.poll.interval.ms": "1"},
            None,
            "1 is too little: a worker that is busy for that long would leave its group, and "
            "session.timeout.ms, which follows it, would expel a worker whose heartbeat is late; "
            "it must be at least 1000",
        ),
        (
            {"heartbeat.interval.ms": "1200001"},
            None,
            "1200001 is too much: a session is three heartbeats long, and at most 3600000 ms; "
            "it must be at most 1200000",
        ),
        ({"no.such.property": "0"}, None, "No such configuration property"),
        (
            {"ssl.ca.location": "/nowhere", "security.protocol": "ssl"},
            "ssl.ca.location",
            "cannot be read",
        ),
        ({"default.topic.conf": "x"}, None, "No such configuration property"),
    ],
    ids=str,
)
def test_two_that_contradict_each_other_are_named_before_there_is_a_broker(
    kafka: dict[str, str], blamed: str | None, said: str
) -> None:
    with pytest.raises(SettingsError) as wrong:
        check_clients(Settings(bootstrap_servers="nobody:1", kafka=kafka))
    assert wrong.value.setting == f"kafka.{blamed or next(iter(kafka))}"
    assert said in str(wrong.value)


def test_a_long_wait_for_more_lengthens_the_life_of_a_message_that_no_transaction_bounds() -> None:
    waits = Settings(kafka={"linger.ms": "900000"}, delivery=Delivery.AT_LEAST_ONCE)
    assert client_defaults(Producer, waits, {})["message.timeout.ms"] == 900_001
    check_clients(waits)


def test_properties_of_the_session_are_the_brokers_under_the_consumer_protocol() -> None:
    for name in ("session.timeout.ms", "heartbeat.interval.ms"):
        settings = Settings(kafka={name: "6000"}, group_protocol=GroupProtocol.CONSUMER)
        with pytest.raises(SettingsError, match="or choose group_protocol=classic") as wrong:
            check_clients(settings)
        assert wrong.value.setting == f"kafka.{name}"


def test_topics_are_looked_for_no_more_rarely_than_the_client_can_reckon() -> None:
    name = "topic.metadata.refresh.interval.ms"
    assert of_consumer(topic_discovery_interval_s=10.0)[name] == 10_000
    assert of_consumer(topic_discovery_interval_s=3_600.0)[name] == 715_827
