"""Properties that a client does not like, or reads as another one than was meant. The clients are
real; no broker is needed."""

from __future__ import annotations

import pytest

from consumer.contracts.choices import GroupProtocol
from consumer.contracts.errors import SettingsError
from consumer.kafka.client_check import check_clients
from consumer.settings.schema import Settings


def refused(**kafka: str) -> str:
    """What the worker says of properties, whose dots are written as underscores here."""
    passed = {name.replace("_", "."): text for name, text in kafka.items()}
    with pytest.raises(SettingsError) as wrong:
        check_clients(
            Settings(
                bootstrap_servers="nobody:1", kafka=passed, group_protocol=GroupProtocol.CLASSIC
            )
        )
    return str(wrong.value)


@pytest.mark.parametrize("text", ["", " ", "\t"])
@pytest.mark.parametrize(
    "name", ["group.instance.id", "client.rack", "session.timeout.ms", "debug", "sasl.password"]
)
def test_an_empty_property_is_refused_whatever_the_client_makes_of_it(name: str, text: str) -> None:
    assert refused(**{name: text}) == (
        f"kafka.{name}: it is empty; give it a value, or leave it out"
    )


def test_what_is_empty_for_apache_kafka_s_own_clients_has_a_name_here() -> None:
    assert refused(ssl_endpoint_identification_algorithm="") == (
        "kafka.ssl.endpoint.identification.algorithm: it is empty; to check no host name write none"
    )


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("45s", "45"),
        ("1e6", "1"),
        ("6_000", "6"),
        ("6,000", "6"),
        ("6000.5", "6000"),
        ("010", "8"),
        ("0x10 ms", "16"),
        ("-5s", "-5"),
        ("089", "0"),
    ],
)
def test_a_number_that_would_be_read_as_another_is_refused(text: str, taken: str) -> None:
    assert refused(session_timeout_ms=text) == (
        f"kafka.session.timeout.ms: {text} would be read as {taken}; "
        "write a number of milliseconds, in digits alone"
    )


def test_numbers_are_written_in_the_unit_of_their_property() -> None:
    assert refused(fetch_max_bytes="50MB").endswith(
        "50MB would be read as 50; write a number of bytes, in digits alone"
    )
    assert refused(queued_max_messages_kbytes="1M").endswith("KiB, in digits alone")
    assert refused(queue_buffering_max_messages="6x").endswith("write a number, in digits alone")
    assert refused(linger_ms="5 ms").startswith("kafka.linger.ms: 5 ms would be read as 5;")


def test_a_number_of_more_bits_than_the_client_keeps_is_refused() -> None:
    assert refused(session_timeout_ms="4294967301") == (
        "kafka.session.timeout.ms: 4294967301 is more than the client can hold; "
        "it must be at most 2147483647"
    )
    assert "is more than the client can hold" in refused(queue_buffering_max_kbytes="-2147483649")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("max.poll.interval.ms", "86400001", "is out of range; it must be from 1 to 86400000"),
        # It would move the longest time between two polls out of its own range.
        ("session.timeout.ms", "86400001", "is out of range; it must be from 1 to 3600000"),
        ("retry.backoff.max.ms", "0", "is out of range; it must be from 1 to 300000"),
        ("message.max.bytes", "5", "is out of range; it must be from 1000 to 1000000000"),
        ("max.in.flight", "0", "is out of range; it must be from 1 to 1000000"),
        ("socket.timeout.ms", "soon", "is no number; write a number of milliseconds"),
        ("socket.keepalive.enable", "yes", "is no switch; it must be true or false"),
        ("compression.type", "zip", "is none of its values; see librdkafka's list"),
    ],
)
def test_a_value_that_is_wrong_in_itself_is_blamed_by_its_own_name(
    name: str, text: str, said: str
) -> None:
    assert refused(**{name: text}).startswith(f"kafka.{name}: {text} {said}")


def test_the_one_of_several_that_is_wrong_is_blamed() -> None:
    told = refused(max_poll_interval_ms="2000", client_id="x", statistics_interval_ms="-1")
    assert told == (
        "kafka.statistics.interval.ms: -1 is out of range; it must be from 0 to 86400000"
    )


def test_a_secret_is_not_shown_where_it_is_wrong() -> None:
    told = refused(ssl_key_pem="no key at all", security_protocol="ssl")
    assert told.startswith("kafka.ssl.key.pem: ")
    assert "no key at all" not in told
