"""The embedded broker."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer, KafkaException

from consumer.kafka.tools.embedded import EmbeddedBroker
from tests.integration.rigs import helpers


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


def test_who_joins_late_waits_for_no_session_under_the_consumer_protocol() -> None:
    """In a classic group whoever joins after three seconds waits for 45, which the benchmark's
    workers did."""

    def member(servers: str) -> Consumer:
        consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "group", "group.protocol": "consumer"}
        )
        consumer.subscribe(["any"])
        return consumer

    with EmbeddedBroker() as broker:
        broker.create_topics("any")
        members = [member(broker.bootstrap_servers)]
        try:
            late_at = time.monotonic() + 5
            while time.monotonic() < late_at:
                members[0].poll(0.05)
            assert len(members[0].assignment()) == 4
            members.append(member(broker.bootstrap_servers))
            deadline = time.monotonic() + 30
            while not members[1].assignment():
                assert time.monotonic() < deadline, "the second member got no partition"
                for one in members:
                    one.poll(0.05)
        finally:
            for one in members:
                one.close()
