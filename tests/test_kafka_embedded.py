"""The embedded broker."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from consumer.kafka.embedded import EmbeddedBroker
from tests.integration import helpers


def test_other_clients_join_by_its_address_and_it_ends_with_close() -> None:
    broker = EmbeddedBroker(brokers=2)
    servers = broker.bootstrap_servers
    assert len(servers.split(",")) == 2
    assert all(one.startswith("127.0.0.1:") for one in servers.split(","))
    helpers.produce(servers, "any", [b"one", b"two"])
    assert {one.value for one in helpers.read_all(servers, "any")} == {b"one", b"two"}
    broker.close()
    broker.close()
    with pytest.raises(KafkaException):
        helpers.admin(servers).list_topics(timeout=1)


def test_two_of_them_know_nothing_of_each_other() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as two:
        helpers.produce(one.bootstrap_servers, "any", [b"one"])
        helpers.produce(two.bootstrap_servers, "any", [b"two"])
        assert [r.value for r in helpers.read_all(one.bootstrap_servers, "any")] == [b"one"]
