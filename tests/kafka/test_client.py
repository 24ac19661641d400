"""Making clients, and what a person is told when that fails. No broker is needed."""

from __future__ import annotations

import json
import logging
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from consumer.contracts.choices import Delivery
from consumer.contracts.errors import KafkaProblem, SettingsError
from consumer.kafka.client import ClientLog, ClientWatch, answered, await_topics, make_client
from consumer.kafka.sink.sink import make_sink
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs.reading import Heard


def closed_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("no.such.property", "1", "No such configuration property"),
        ("linger.ms", "soon", "soon is no number"),
        ("security.protocol", "carrier-pigeon", "carrier-pigeon is none of its values"),
        ("socket.timeout.ms", "-5", "-5 is out of range; it must be from 10 to 300000"),
    ],
)
def test_a_wrong_property_is_named(name: str, value: str, problem: str) -> None:
    settings = Settings(kafka={"client.id": "x", name: value})
    for kind in (Consumer, Producer):
        with pytest.raises(SettingsError, match=problem) as wrong:
            make_client(kind, settings, ClientWatch(), {}, {"group.id": "g"})
        assert wrong.value.setting == f"kafka.{name}"
        assert wrong.value.exit_code == 2


def test_a_property_of_the_other_client_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(
        bootstrap_servers=closed_port(),
        kafka={"session.timeout.ms": "7000", "linger.ms": "7", "queued.min.messages": "1"},
    )
    with caplog.at_level(logging.DEBUG):
        producer = make_client(Producer, settings, ClientWatch(), {}, {})
        producer.poll(0.2)
        consumer = make_client(Consumer, settings, ClientWatch(), {}, {"group.id": "g"})
        consumer.poll(0.2)
        consumer.close()
    assert not [line for line in caplog.messages if "will be ignored" in line]


def test_defaults_give_way_and_requirements_do_not() -> None:
    got: dict[str, Any] = {}
    settings = Settings(bootstrap_servers="a:1", kafka={"linger.ms": "7", "client.id": "mine"})
    make_client(got.update, settings, ClientWatch(), {"linger.ms": 5, "acks": 1}, {"acks": "all"})
    assert got["bootstrap.servers"] == "a:1"
    assert (got["linger.ms"], got["client.id"], got["acks"]) == ("7", "mine", "all")


def test_a_broker_that_is_back_is_found_within_a_second_unless_a_person_says_otherwise() -> None:
    got: dict[str, Any] = {}
    make_client(got.update, Settings(), ClientWatch(), {}, {})
    assert got["reconnect.backoff.max.ms"] == 1_000
    patient = Settings(kafka={"reconnect.backoff.max.ms": "30000"})
    make_client(got.update, patient, ClientWatch(), {}, {})
    assert got["reconnect.backoff.max.ms"] == "30000"


def test_log_lines_go_to_python_and_not_to_standard_error(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(bootstrap_servers=closed_port())
    watch = ClientWatch()
    producer = make_client(Producer, settings, watch, {}, {})
    with caplog.at_level(logging.INFO):
        while watch.count == 0:
            producer.poll(0.1)
    assert any("refused" in line for line in caplog.messages)
    assert capfd.readouterr().err == ""


def test_a_line_keeps_its_level_and_its_parts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="consumer.kafka.client"):
        ClientLog().log(logging.WARNING, "%s [%s] %s", "FAIL", "nerstream#1", "went away")
    assert caplog.record_tuples == [
        ("consumer.kafka.client", logging.WARNING, "FAIL [nerstream#1] went away")
    ]


def test_the_reason_is_kept_and_not_its_echo() -> None:
    watch = ClientWatch()
    watch(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    watch(KafkaError(KafkaError._TRANSPORT))
    watch(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert watch.last is not None
    assert watch.last.code() == KafkaError._TRANSPORT
    assert watch.count == 3


@pytest.mark.parametrize("delivery", list(Delivery))
def test_brokers_that_do_not_answer_are_named(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.kafka.client.OPEN_TIMEOUT_S", 1.0)
    address = closed_port()
    settings = Settings(bootstrap_servers=address, delivery=delivery, instance="x")
    expected = rf"no broker answers at {address} \(.*refused.*\); check bootstrap_servers"
    source = KafkaSource(settings)
    with pytest.raises(KafkaProblem, match=expected):
        source.open(Heard())
    sink = make_sink(settings, source)
    with pytest.raises(KafkaProblem, match=expected):
        sink.open()
    sink.close()
    source.close()


def test_brokers_that_do_not_answer_are_named_where_only_patterns_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.kafka.source.topics.input_topics.OPEN_TIMEOUT_S", 1.0)
    address = closed_port()
    source = KafkaSource(Settings(bootstrap_servers=address, input_topics=("^news-.*",)))
    with pytest.raises(KafkaProblem, match=f"no broker answers at {address}.*check bootstrap"):
        source.open(Heard())
    source.close()


def test_an_answer_that_stays_no_is_not_asked_for_again() -> None:
    asked: list[float] = []

    def ask(left_s: float) -> None:
        asked.append(left_s)
        raise KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))

    watch = ClientWatch()
    watch(KafkaError(KafkaError._TRANSPORT))
    client = SimpleNamespace(poll=lambda _: None)
    with pytest.raises(KafkaProblem, match=r"refuse: .*allow this user to read the consumer group"):
        answered(ask, client, watch, Settings(), time.monotonic() + 60)
    assert len(asked) == 1


def told(watch: ClientWatch, *sources: str) -> bool:
    """Whether a client counts as stranded after statistics with brokers of these sources."""
    brokers = {str(number): {"source": source} for number, source in enumerate(sources)}
    watch.statistics(json.dumps({"brokers": brokers}))
    return watch.is_stranded


def test_a_client_without_brokers_is_stranded_when_it_says_so_twice() -> None:
    watch = ClientWatch()
    assert not watch.is_stranded
    assert not told(watch, "internal", "logical")
    assert not told(watch, "internal", "configured")
    assert not told(watch)
    assert told(watch, "internal", "logical")
    assert not told(watch, "learned")


def test_clients_tell_which_brokers_they_know() -> None:
    """Those that no broker answers too: they know where to ask."""
    settings = Settings(
        bootstrap_servers=closed_port(), kafka={"statistics.interval.ms": "20", "log_level": "0"}
    )
    told_by: list[str] = []

    class Watch(ClientWatch):
        def statistics(self, text: str) -> None:
            super().statistics(text)
            told_by.extend(one["source"] for one in json.loads(text)["brokers"].values())

    watch = Watch()
    producer = make_client(Producer, settings, watch, {}, {})
    deadline = time.monotonic() + 10
    while "configured" not in told_by and time.monotonic() < deadline:
        producer.poll(0.1)
    assert "configured" in told_by
    assert not watch.is_stranded


@pytest.mark.parametrize("name", ['a"b', "a\\b"])
def test_a_name_that_the_client_does_not_escape_in_what_it_tells_harms_nothing(name: str) -> None:
    settings = Settings(
        bootstrap_servers=closed_port(),
        kafka={"client.id": name, "statistics.interval.ms": "20", "log_level": "0"},
    )
    watch = ClientWatch()
    producer = make_client(Producer, settings, watch, {}, {})
    deadline = time.monotonic() + 60
    while not watch.reports and time.monotonic() < deadline:
        producer.poll(0.1)
    assert watch.reports
    assert not watch.is_stranded


@pytest.mark.parametrize(
    ("knows", "told"),
    [
        (True, r"the topic not-there \(dead_letter_topic\) cannot be used: .*[Uu]nknown topic"),
        (False, r"no broker answers at 127\.0\.0\.1:1 "),
    ],
)
def test_a_topic_that_is_missing_is_named_also_where_the_last_answer_does_not_come(
    monkeypatch: pytest.MonkeyPatch, knows: bool, told: str
) -> None:
    monkeypatch.setattr("consumer.kafka.client.OPEN_TIMEOUT_S", 0.3)

    class Busy:
        """Answers the first question alone."""

        asked = 0

        def list_topics(self, topic: str, timeout: float) -> SimpleNamespace:
            self.asked += 1
            if knows and self.asked == 1:
                missing = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
                return SimpleNamespace(topics={topic: SimpleNamespace(error=missing)})
            time.sleep(timeout)
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

        def poll(self, timeout: float) -> None:
            pass

    settings = Settings(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(KafkaProblem, match=told):
        await_topics(Busy(), ClientWatch(), settings, {"not-there": "dead_letter_topic"})
