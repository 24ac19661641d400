"""Where reading begins in partitions for which the group has no offset, on Apache Kafka."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.source.source import KafkaSource
from consumer.kafka.source.topics import topic_watch
from consumer.settings.schema import Settings
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.reading import (
    Heard,
    opened,
    poll_until,
    read,
    read_each_of,
    settings,
)

pytestmark = pytest.mark.kafka

PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


def put(bootstrap: str, topic: str, partition: int, *values: bytes) -> None:
    helpers.produce(bootstrap, topic, [Record(value, partition=partition) for value in values])


def latest(
    bootstrap: str, topic: str, group: str, protocol: str, reset: str = "latest"
) -> Settings:
    """A source that begins at the end and finds what is new within a second."""
    return settings(
        bootstrap,
        topic,
        group,
        auto_offset_reset=reset,
        group_protocol=protocol,
        topic_discovery_interval_s=1,
        output_topic=f"out-{group}",
        dead_letter_topic=f"dead-{group}",
    )


def values(messages: Sequence[RawMessage]) -> list[bytes | None]:
    return [one.value for one in messages]


def begin(source: KafkaSource, partitions: int) -> list[RawMessage]:
    """Poll until it has so many partitions; gives what came meanwhile."""
    return poll_until(lambda: len(source.assignments()) == partitions, source)


@PROTOCOLS
def test_a_group_that_begins_at_the_end_commits_it_before_it_has_its_partitions(
    kafka: str,
    topics: TopicFactory,
    group: str,
    protocol: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    topic = topics(partitions=2)
    put(kafka, topic, 0, b"old", b"old")
    committed: list[dict[int, int]] = []

    class Asking(Heard):
        def on_assigned(self, _: Sequence[TopicPartition]) -> None:
            committed.append(helpers.committed_offsets(kafka, group, topic))

    source = KafkaSource(latest(kafka, topic, group, protocol))
    source.open(Asking())
    begin(source, 2)
    put(kafka, topic, 0, b"new")
    put(kafka, topic, 1, b"new too")
    got = read(source, 2)
    source.close()
    assert committed == [{0: 2, 1: 0}]
    said = [one.message for one in caplog.records if "passed over" in one.message]
    assert said == [
        f"{topic} [0]: offsets 0 to 1 are passed over, since the group has none there and "
        "auto_offset_reset is latest"
    ]
    assert set(values(got)) == {b"new", b"new too"}


@PROTOCOLS
def test_what_is_written_between_a_stop_and_a_start_is_read_without_any_commit_of_messages(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    topic = topics(partitions=2)
    put(kafka, topic, 0, b"old")
    asked = latest(kafka, topic, group, protocol)
    with opened(asked) as (source, _):
        begin(source, 2)
    put(kafka, topic, 0, b"between")
    with opened(asked) as (source, _):
        assert values(read(source, 1)) == [b"between"]


@PROTOCOLS
@pytest.mark.parametrize("reset", ["latest", "earliest"])
def test_a_partition_that_is_added_is_read_from_its_beginning_by_those_who_work_and_who_come(
    kafka: str, topics: TopicFactory, group: str, protocol: str, reset: str
) -> None:
    topic = topics(partitions=1)
    put(kafka, topic, 0, b"old")
    asked = latest(kafka, topic, group, protocol, reset)
    old = [b"old"] if reset == "earliest" else []
    with opened(asked) as (source, _):
        got = begin(source, 1)
        helpers.add_partitions(kafka, topic, 2)
        put(kafka, topic, 1, b"first of 1")
        got += begin(source, 2)
        got += read(source, 1 + len(old) - len(got))
        assert sorted(values(got), key=str) == [b"first of 1", *old]
        assert helpers.committed_offsets(kafka, group, topic) == {0: 1 - len(old), 1: 0}
    helpers.add_partitions(kafka, topic, 3)
    put(kafka, topic, 2, b"first of 2")
    with opened(asked) as (source, _):
        got = begin(source, 3)
        got += read(source, 2 + len(old) - len(got))
    assert sorted(values(got), key=str) == [b"first of 1", b"first of 2", *old]


@PROTOCOLS
def test_two_workers_that_begin_a_group_at_once_both_begin_at_the_end(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    topic = topics(partitions=4)
    for partition in range(4):
        put(kafka, topic, partition, b"old")
    asked = latest(kafka, topic, group, protocol)
    with opened(asked) as (first, _), opened(asked) as (second, _):
        early = poll_until(
            lambda: len(first.assignments()) == len(second.assignments()) == 2, first, second
        )
        for partition in range(4):
            put(kafka, topic, partition, b"new")
        got: list[RawMessage] = []
        while len(got) < 4:
            got += first.poll(10, 0.1) + second.poll(10, 0.1)
    assert early == []
    assert values(got) == [b"new"] * 4
    assert helpers.committed_offsets(kafka, group, topic) == dict.fromkeys(range(4), 1)


def test_the_end_is_where_an_open_transaction_begins(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    topic = topics()
    put(kafka, topic, 0, b"old")
    writer = helpers.producer(kafka, transactional_id=topic)
    writer.init_transactions(30)
    writer.begin_transaction()
    helpers.put(writer, topic, [Record(b"pending")])
    writer.flush(30)
    with opened(latest(kafka, topic, group, "classic")) as (source, _):
        begin(source, 1)
        writer.commit_transaction(30)
        assert values(read(source, 1)) == [b"pending"]


@PROTOCOLS
def test_a_topic_that_a_pattern_takes_in_later_is_read_from_its_beginning_by_the_next_worker_too(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    """The pattern takes in nothing at first, so the group has no offset of it."""
    stem = group.replace("group", "in")
    asked = latest(kafka, f"^{stem}-.*", group, protocol)
    with opened(asked) as (source, _):
        assert source.poll(1, 0.1) == []
        assert source.obstacle() == f"no topic matches the pattern ^{stem}-.* (input_topics)"
        topic = topics(f"{stem}-one")
        put(kafka, topic, 0, b"first")
        begin(source, 1)
        assert "no topic matches" not in source.obstacle()
    with opened(asked) as (source, _):
        assert values(read(source, 1)) == [b"first"]
        other = topics(f"{stem}-two")
        put(kafka, other, 0, b"second")
        begin(source, 2)
        assert values(read(source, 1)) == [b"second"]


@PROTOCOLS
def test_two_workers_share_the_topics_that_a_pattern_takes_in_later(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    stem = group.replace("group", "in")
    asked = latest(kafka, f"^{stem}-.*", group, protocol)
    old = topics(f"{stem}-old", partitions=2)
    put(kafka, old, 0, b"old")
    with opened(asked) as (first, _), opened(asked) as (second, _):
        poll_until(
            lambda: len(first.assignments()) == len(second.assignments()) == 1, first, second
        )
        new = topics(f"{stem}-new", partitions=2)
        put(kafka, new, 0, b"a")
        put(kafka, new, 1, b"b")
        put(kafka, old, 0, b"c")
        # What is not committed is read again where a partition goes from one to the other.
        got = read_each_of({b"a", b"b", b"c"}, first, second)
        got += poll_until(
            lambda: len(first.assignments()) == len(second.assignments()) == 2, first, second
        )
    assert {b"a", b"b", b"c"} == set(values(got))


@PROTOCOLS
def test_a_worker_joins_while_a_transaction_of_a_lost_one_holds_offsets(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    topic = topics(partitions=2)
    asked = latest(kafka, topic, group, protocol)
    with opened(asked) as (source, _):
        begin(source, 2)
        put(kafka, topic, 0, b"held")
        put(kafka, topic, 1, b"free")
        read(source, 2)
        writer = helpers.producer(
            kafka, transactional_id=f"{group}-lost", transaction_timeout_ms=60_000
        )
        writer.init_transactions(30)
        writer.begin_transaction()
        held = [ClientPartition(topic, 0, 1)]
        writer.send_offsets_to_transaction(held, source.group_metadata(), 30)
    with opened(asked) as (source, _):
        # The client reads nothing until then: the transaction may have read it.
        assert begin(source, 2) == []
        writer.abort_transaction(30)
        assert sorted(values(read(source, 2)), key=str) == [b"free", b"held"]


def test_without_an_offset_a_strict_worker_stops_also_at_a_new_partition(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    topic = topics()
    with opened(latest(kafka, topic, group, "classic")) as (source, _):
        begin(source, 1)
    helpers.add_partitions(kafka, topic, 2)
    asked = settings(kafka, topic, group, auto_offset_reset="error")
    stopped = pytest.raises(Exception, match=rf"{topic} \[1\].*auto_offset_reset")
    with opened(asked) as (source, _), stopped:
        poll_until(lambda: False, source)


def test_a_commit_that_is_refused_is_made_again_before_the_partition_is_told_of(
    kafka: str, topics: TopicFactory, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topics()
    put(kafka, topic, 0, b"old")
    source = KafkaSource(latest(kafka, topic, group, "classic"))
    heard = Heard()
    source.open(heard)
    client = source._joined.consumer
    refused = threading.Event()

    class Refusing:
        """The client, whose first commit the group refuses."""

        def __getattr__(self, name: str) -> object:
            return getattr(client, name)

        def commit(self, **arguments: object) -> object:
            if refused.is_set():
                return client.commit(**arguments)
            refused.set()
            assert heard.of("assigned") == []
            raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))

    fix = source._starts.fix
    monkeypatch.setattr(
        source._joined.rebalance, "_fix", lambda _, partitions: fix(Refusing(), partitions)
    )
    begin(source, 1)
    assert refused.is_set()
    assert helpers.committed_offsets(kafka, group, topic) == {0: 1}
    put(kafka, topic, 0, b"new")
    assert values(read(source, 1)) == [b"new"]
    source.close()


@PROTOCOLS
@pytest.mark.parametrize("by", ["name", "pattern"])
def test_a_topic_that_is_made_again_before_it_is_assigned_is_read_from_its_beginning(
    kafka: str,
    topics: TopicFactory,
    group: str,
    protocol: str,
    by: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The group's offsets went with it; to this worker it was there when it came."""
    monkeypatch.setattr(topic_watch, "INTERVAL_S", 0.0)
    topic = topics(partitions=1)
    put(kafka, topic, 0, b"old")
    asked = latest(kafka, topic if by == "name" else f"^{topic}$", group, protocol)
    with opened(asked) as (source, _):
        helpers.remove_topics(kafka, [topic])
        helpers.create_topic(kafka, topic, 1)
        put(kafka, topic, 0, b"new", b"newer")
        assert values(read(source, 2)) == [b"new", b"newer"]
