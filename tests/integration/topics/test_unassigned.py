"""Partitions that the group gave to no worker, since their topic was gone just then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.source import source as source_module
from consumer.kafka.source.source import KafkaSource
from consumer.kafka.source.unassigned import rejoins
from consumer.kafka.source.unassigned.group_view import GroupView, look_at_group
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.reading import opened, poll_until, settings
from tests.integration.rigs.remade import Remade

pytestmark = pytest.mark.kafka

PARTITIONS = 4

#: The client does not look for topics by itself meanwhile.
QUICK = {"revoke_timeout_s": 1.0, "topic_discovery_interval_s": 600.0}


@pytest.fixture
def ground(kafka: str, topics: TopicFactory, group: str) -> Remade:
    return Remade(kafka, topics("in", PARTITIONS), topics("out"), topics("dead"), group)


def asked(ground: Remade, **more: Any) -> Any:
    return settings(ground.bootstrap, ground.input, ground.group, **{**QUICK, **more})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions soon count as nobody's."""
    monkeypatch.setattr(rejoins, "LOOK_S", 1.0)
    monkeypatch.setattr(rejoins, "GRACE_S", 1.0)


def read_all(count: int, *sources: KafkaSource) -> list[RawMessage]:
    taken: list[RawMessage] = []
    while len(taken) < count:
        taken += poll_until(lambda: True, *sources)
        for source in sources:
            taken += source.poll(100, 0.05)
    return taken


def members(ground: Remade) -> list[str]:
    asked = helpers.admin(ground.bootstrap).describe_consumer_groups(
        [ground.group], request_timeout=60
    )
    return sorted(one.member_id for one in asked[ground.group].result().members)


def places_of(messages: Sequence[RawMessage]) -> set[tuple[int, int]]:
    """Partition and offset of each; none comes twice."""
    places = [(one.position.topic_partition.partition, one.position.offset) for one in messages]
    assert len(set(places)) == len(places)
    return set(places)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_partitions_that_were_shared_out_while_the_topic_was_gone_are_read_once_it_is_back(
    ground: Remade, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    """Under the classic protocol the worker that shares them out knows no such topic just then, and
    gives them to nobody. The client would leave it at that for ever."""
    # The one that has all of them does not hear that it should share them; so the other one waits,
    # until the first one leaves, and then shares out by itself.
    deaf = {"heartbeat.interval.ms": "30000"} if protocol == "classic" else {}
    with opened(asked(ground, group_protocol=protocol, kafka=deaf)) as (leaves, _):
        poll_until(lambda: len(leaves.assignments()) == PARTITIONS, leaves)
        with opened(asked(ground, group_protocol=protocol, instance="two")) as (stays, heard):
            poll_until(lambda: len(members(ground)) == 2, stays, leaves)
            # Else the one that stays may be told of it once more as it shares out.
            helpers.remove_topics(ground.bootstrap, [ground.input])
            leaves.close()
            if protocol == "classic":
                poll_until(lambda: ("assigned", ()) in heard.events, stays)
            ground.make(PARTITIONS)
            ground.feed(range(PARTITIONS * 5), PARTITIONS)
            assert places_of(read_all(PARTITIONS * 5, stays)) == {
                (n, offset) for n in range(PARTITIONS) for offset in range(5)
            }
            poll_until(lambda: not stays.troubles(), stays)
    assert heard.events.count(("rejoined", ())) == (protocol == "classic")
    said = [one for one in caplog.messages if f"no worker of group {ground.group} has" in one]
    assert len(said) == (protocol == "classic")
    assert all(f"{ground.input} [3], though the topic is there" in one for one in said)


@pytest.mark.parametrize(
    "kafka_properties", [{}, {"group.instance.id": "one"}], ids=["dynamic", "static"]
)
def test_a_worker_that_rejoins_reads_on_where_it_stood(
    ground: Remade, monkeypatch: pytest.MonkeyPatch, kafka_properties: dict[str, str]
) -> None:
    looks: list[Callable[..., GroupView | None]] = []

    def look(client: Any, group: str, topics: Any) -> GroupView | None:
        view = look_at_group(client, group, topics)
        if view is None or looks:
            return view
        return GroupView(view.members, frozenset({TopicPartition(ground.input, 0)}))

    monkeypatch.setattr(source_module, "look_at_group", look)
    with opened(asked(ground, kafka=kafka_properties)) as (source, heard):
        poll_until(lambda: len(source.assignments()) == PARTITIONS, source)
        ground.feed(range(8), PARTITIONS)
        read_all(8, source)
        # What is finished is committed while the partitions are given back.
        heard.revoking = lambda partitions: source.commit(
            source.vouch(dict.fromkeys(partitions, 2)).offsets
        )
        before = members(ground)
        poll_until(lambda: ("rejoined", ()) in heard.events, source)
        looks.append(look_at_group)
        heard.revoking = lambda _: None
        poll_until(lambda: len(source.assignments()) == PARTITIONS, source)
        assert ground.committed() == dict.fromkeys(range(PARTITIONS), 2)
        assert members(ground) != before
        assert not heard.of("lost")
        ground.feed(range(8, 16), PARTITIONS)
        came = read_all(8, source)
        assert places_of(came) == {(n, offset) for n in range(PARTITIONS) for offset in (2, 3)}
        poll_until(lambda: not source.troubles(), source)
