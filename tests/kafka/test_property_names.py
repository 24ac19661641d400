"""The names that a mistyped one is held against are those that the client takes."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException, Producer

from consumer.contracts.errors import SettingsError
from consumer.kafka.client_check import check_clients
from consumer.kafka.property_names import PROPERTIES, meant
from consumer.kafka.refused_properties import MUTE
from consumer.settings.reserved import RESERVED_KAFKA_PROPERTIES
from consumer.settings.schema import Settings


def test_each_is_a_property_that_may_be_passed_through() -> None:
    assert len(PROPERTIES) > 100
    assert not set(PROPERTIES) & set(RESERVED_KAFKA_PROPERTIES)
    unknown = []
    for name in PROPERTIES:
        try:
            Producer({"logger": MUTE, name: "no such value"})
        except (KafkaException, TypeError, ValueError) as refused:
            if "No such configuration property" in str(refused):
                unknown.append(name)
    assert unknown == []


@pytest.mark.parametrize(
    ("written", "like"),
    [
        ("sesion.timeout.ms", "session.timeout.ms"),
        ("sasl.user", "sasl.username"),
        ("security_protocol", "security.protocol"),
        ("no.such.property", ""),
    ],
)
def test_what_was_meant(written: str, like: str) -> None:
    assert meant(written) == like
    with pytest.raises(SettingsError) as refused:
        check_clients(Settings(kafka={written: "1"}))
    remedy = f"did you mean {like}?" if like else "see librdkafka's list"
    assert remedy in refused.value.remedy
