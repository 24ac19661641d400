"""A log whose newest messages went with their leader: the election of one that never had them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import NewTopic

from consumer.contracts.choices import JumpReason
from consumer.contracts.messages import TopicPartition
from tests.integration.rigs import helpers
from tests.integration.rigs.reading import offsets, opened, read, settings
from tests.integration.servers.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

#: A broker that is away counts as such soon.
_CONFIG: dict[str, str | int] = {"broker.session.timeout.ms": 3_000}

_TOPIC: dict[str, str] = {"min.insync.replicas": "1", "unclean.leader.election.enable": "true"}


def until(bootstrap: str, topic: str, holds: Callable[[Any], bool]) -> None:
    """Until the topic's only partition is so."""
    deadline = time.monotonic() + 60
    client = helpers.admin(bootstrap)
    while True:
        # A broker that has just been told of the topic may not know its partition yet.
        # One that was killed may be the first that the client asks.
        found = helpers.patiently(lambda: client.list_topics(topic, timeout=10))
        partition = found.topics[topic].partitions.get(0)
        if partition is not None and holds(partition):
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.usefixtures("kafka")  # skips where there is none
def test_what_was_written_after_the_cut_is_read_and_nothing_before_it_again(group: str) -> None:
    """Also by a source that was to go back behind the cut: an abort is likely when brokers die."""
    with (
        KafkaServer(_CONFIG) as first,
        KafkaServer(_CONFIG, joins=first) as leader,
        KafkaServer({**_CONFIG, "node.id": 3}, joins=first) as follower,
    ):
        servers = (first, leader, follower)
        bootstrap = ",".join(one.bootstrap_servers for one in servers)
        topic = f"cut-{group}"
        new = NewTopic(topic, 1, replica_assignment=[[2, 3]], config=_TOPIC)
        helpers.admin(bootstrap).create_topics([new])[topic].result(helpers.CALL_TIMEOUT_S)
        until(bootstrap, topic, lambda one: one.leader == 2 and sorted(one.isrs) == [2, 3])
        helpers.produce(bootstrap, topic, [b"%d" % n for n in range(20)])
        with opened(settings(bootstrap, topic, group)) as (source, heard):
            assert offsets(read(source, 20)) == [*range(20)]
            follower.kill()
            until(bootstrap, topic, lambda one: one.isrs == [2])
            helpers.produce(bootstrap, topic, [b"gone %d" % n for n in range(10)])
            (*_, last) = read(source, 10)
            leader.kill()
            follower.restart()
            until(bootstrap, topic, lambda one: one.leader == 3)
            helpers.produce(bootstrap, topic, [b"new %d" % n for n in range(15)])
            source.rewind({TopicPartition(topic, 0): 25})
            after = read(source, 15)
    assert [one.value for one in after] == [b"new %d" % n for n in range(15)]
    assert offsets(after) == [*range(20, 35)]
    assert {one.assignment for one in after} != {last.assignment}
    assert heard.jumps == [(JumpReason.CUT, 0)]
