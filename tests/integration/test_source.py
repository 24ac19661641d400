"""The source, on Apache Kafka and, where it can show the same, on the embedded broker."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest
from confluent_kafka import Consumer

from consumer.contracts.errors import AbortableError, KafkaProblem, SettingsError
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.kafka.source.rebalance import client_offsets
from consumer.kafka.source.source import KafkaSource
from consumer.kafka.tools.embedded import EmbeddedBroker
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.reading import Heard, offsets, opened, poll_until, read, settings

PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


class Broker:
    """Where a contract test runs: bootstrap servers, and a way to get a topic."""

    def __init__(self, bootstrap: str, topic: Callable[[], str]) -> None:
        self.bootstrap = bootstrap
        self.topic = topic


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "kafka":
        bootstrap = request.getfixturevalue("kafka")
        yield Broker(bootstrap, request.getfixturevalue("topics"))
        return
    with EmbeddedBroker() as embedded:
        # Topics appear on first use there.
        yield Broker(embedded.bootstrap_servers, lambda: f"topic-{uuid.uuid4().hex[:8]}")


def numbered(count: int, size: int = 0, partition: int = 0) -> list[Record]:
    return [Record(str(n).encode().rjust(size, b"0"), partition=partition) for n in range(count)]


# --- on both brokers


def test_a_message_arrives_as_it_was_written(broker: Broker, group: str) -> None:
    topic = broker.topic()
    written = [
        Record(b"value", b"key", (("a", b"1"), ("a", None), ("b", b"")), 1_700_000_000_123, 0),
        Record(None, b"tombstone", (), 1_700_000_000_124, 0),
        Record(b"", None, (), 1_700_000_000_125, 0),
    ]
    helpers.produce(broker.bootstrap, topic, written)

    with opened(settings(broker.bootstrap, topic, group)) as (source, _):
        got = read(source, 3)

    assert [(m.value, m.key, m.headers, m.timestamp_ms) for m in got] == [
        (r.value, r.key, r.headers, r.timestamp_ms) for r in written
    ]
    assert [m.position.offset for m in got] == [0, 1, 2]
    assert {m.position.topic_partition for m in got} == {TopicPartition(topic, 0)}


def test_a_rewind_delivers_nothing_from_before(broker: Broker, group: str) -> None:
    """Thousands are prefetched at each rewind; every one must be gone."""
    topic = broker.topic()
    helpers.produce(broker.bootstrap, topic, numbered(5_000))
    partition = TopicPartition(topic, 0)

    with opened(settings(broker.bootstrap, topic, group)) as (source, _):
        before = read(source, 1_000)
        for start in (990, 0, 4_000, 500, 999, 1):
            number = source.rewind({partition: start})[partition]
            after = read(source, 300)
            assert offsets(after) == list(range(start, start + 300))
            assert {m.assignment for m in after} == {number}
            assert source.assignments()[partition] == number

    assert offsets(before) == list(range(1_000))
    assert len({m.assignment for m in before}) == 1


def test_a_rewind_of_partitions_that_are_not_assigned_is_left_out(
    broker: Broker, group: str
) -> None:
    topic = broker.topic()
    helpers.produce(broker.bootstrap, topic, numbered(1))

    with opened(settings(broker.bootstrap, topic, group)) as (source, _):
        read(source, 1)
        foreign = TopicPartition(topic, 77)
        assert source.rewind({foreign: 0}) == {}
        assert foreign not in source.assignments()


def test_pause_and_resume_neither_lose_nor_double(broker: Broker, group: str) -> None:
    topic = broker.topic()
    helpers.produce(broker.bootstrap, topic, numbered(3_000))

    with opened(settings(broker.bootstrap, topic, group)) as (source, _):
        got = []
        for _ in range(10):
            got += read(source, 300)
            source.pause()
            assert source.poll(1_000, 0.3) == []
            source.resume()
        assert source.poll(10, 0.3) == []

    assert offsets(got) == list(range(3_000))


def test_a_rewind_while_paused_holds_after_resume(broker: Broker, group: str) -> None:
    topic = broker.topic()
    helpers.produce(broker.bootstrap, topic, numbered(1_000))
    partition = TopicPartition(topic, 0)

    with opened(settings(broker.bootstrap, topic, group)) as (source, _):
        read(source, 500)
        source.pause()
        assert source.poll(10, 0.3) == []
        number = source.rewind({partition: 123})[partition]
        assert source.poll(10, 0.3) == []
        source.resume()
        got = read(source, 100)

    assert offsets(got) == list(range(123, 223))
    assert {m.assignment for m in got} == {number}


def test_what_is_assigned_while_paused_stays_paused(broker: Broker, group: str) -> None:
    topic = broker.topic()
    helpers.produce(broker.bootstrap, topic, numbered(10))

    with opened(settings(broker.bootstrap, topic, group)) as (source, heard):
        source.pause()
        early = poll_until(lambda: bool(heard.of("assigned")), source)
        assert early == []
        assert source.poll(10, 1.0) == []
        source.resume()
        assert offsets(read(source, 10)) == list(range(10))


def test_a_partition_that_went_while_paused_is_read_when_it_comes_back(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    """The client keeps the pause of a partition over its unassignment."""
    topic = topics("in", partitions=2)
    asked = settings(kafka, topic, group)
    with opened(asked) as (source, heard):
        poll_until(lambda: len(source.assignments()) == 2, source)
        source.pause()
        with opened(settings(kafka, topic, group, instance="two")) as (other, _):
            poll_until(
                lambda: len(source.assignments()) == len(other.assignments()) == 1, source, other
            )
            source.resume()
        (gone,) = heard.of("revoked")
        poll_until(lambda: len(source.assignments()) == 2, source)
        helpers.produce(kafka, topic, [Record(b"0", partition=gone.partition)])
        assert [message.value for message in read(source, 1)] == [b"0"]


def test_ends_and_read_offsets_meet(broker: Broker, group: str) -> None:
    topic = broker.topic()
    helpers.produce(broker.bootstrap, topic, numbered(50))
    partition = TopicPartition(topic, 0)

    with opened(settings(broker.bootstrap, topic, group)) as (source, _):
        read(source, 20)
        assert source.read_offsets()[partition] == 20
        source.pause()
        poll_until(lambda: source.end_offsets().get(partition) == 50, source)
        assert source.read_offsets()[partition] == 20
        source.resume()
        read(source, 30)
        assert source.read_offsets()[partition] == 50


def test_close_revokes_and_then_nothing_can_be_committed(broker: Broker, group: str) -> None:
    topic = broker.topic()
    helpers.produce(broker.bootstrap, topic, numbered(1))
    partition = TopicPartition(topic, 0)

    with opened(settings(broker.bootstrap, topic, group)) as (source, heard):
        read(source, 1)
        source.commit(client_offsets({partition: 1}))
        source.close()
        assert partition in heard.of("revoked")
        assert heard.of("lost") == []
        assert source.assignments() == {}
        with pytest.raises(AbortableError, match="closed"):
            source.group_metadata()
        with pytest.raises(AbortableError, match="closed"):
            source.commit(client_offsets({partition: 1}))

    assert helpers.committed_offsets(broker.bootstrap, group, topic)[0] == 1


# --- on Apache Kafka


@PROTOCOLS
def test_each_group_protocol_reads_and_goes_on_where_it_committed(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    topic = topics(partitions=1)
    helpers.produce(kafka, topic, numbered(10))
    asked = settings(kafka, topic, group, group_protocol=protocol)

    with opened(asked) as (source, _):
        assert offsets(read(source, 10)) == list(range(10))
        source.commit(client_offsets({TopicPartition(topic, 0): 7}))
    with opened(asked) as (source, _):
        assert offsets(read(source, 3)) == [7, 8, 9]

    assert helpers.committed_offsets(kafka, group, topic) == {0: 7}


def test_aborted_messages_are_passed_over(kafka: str, topics: TopicFactory, group: str) -> None:
    topic = topics()
    writer = helpers.producer(kafka, transactional_id=topic)
    writer.init_transactions(30)
    for values, end in (
        ([b"a", b"b"], writer.commit_transaction),
        ([b"x"], writer.abort_transaction),
        ([b"c"], writer.commit_transaction),
    ):
        writer.begin_transaction()
        helpers.put(writer, topic, [Record(value) for value in values])
        writer.flush(30)
        end(30)
    partition = TopicPartition(topic, 0)

    with opened(settings(kafka, topic, group)) as (source, _):
        got = read(source, 3)
        # Four messages and three markers: reading ends behind the last marker, so lag is 0.
        poll_until(lambda: source.read_offsets()[partition] == 7, source)
        poll_until(lambda: source.end_offsets().get(partition) == 7, source)

    assert [m.value for m in got] == [b"a", b"b", b"c"]


def test_the_end_is_the_last_stable_offset_and_known_while_paused(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    topic = topics()
    helpers.produce(kafka, topic, numbered(3))
    writer = helpers.producer(kafka, transactional_id=topic)
    writer.init_transactions(30)
    writer.begin_transaction()
    helpers.put(writer, topic, numbered(4))
    writer.flush(30)
    partition = TopicPartition(topic, 0)

    with opened(settings(kafka, topic, group)) as (source, _):
        source.pause()
        poll_until(lambda: partition in source.end_offsets(), source)
        assert source.end_offsets() == {partition: 3}
        assert source.read_offsets() == {}
        writer.commit_transaction(30)
        poll_until(lambda: source.end_offsets() == {partition: 8}, source)


@PROTOCOLS
def test_a_second_worker_takes_over_after_the_first_has_committed(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    topic = topics(partitions=2)
    for number in (0, 1):
        helpers.produce(kafka, topic, numbered(100, partition=number))
    asked = settings(kafka, topic, group, group_protocol=protocol)
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]

    with opened(asked) as (first, heard):
        poll_until(lambda: len(first.assignments()) == 2, first)
        heard.revoking = lambda going: first.commit(client_offsets(dict.fromkeys(going, 40)))
        with opened(asked) as (second, heard_too):
            of_second: list[RawMessage] = []
            while not of_second:
                first.poll(10, 0.05)
                of_second = second.poll(10, 0.05)
            (taken,) = second.assignments()
            (kept,) = first.assignments()
            assert {taken, kept} == set(both)
            assert heard.of("revoked") == [taken]
            assert heard.of("lost") == []
            assert {m.position.topic_partition for m in of_second} == {taken}
            assert of_second[0].position.offset == 40
        poll_until(lambda: len(first.assignments()) == 2, first)
        assert heard_too.of("revoked") == [taken]


def test_no_message_of_a_revoked_partition_comes_out(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    """The revocation falls into the middle of a poll that has taken messages already."""
    topic = topics(partitions=4)
    for number in range(4):
        helpers.produce(kafka, topic, numbered(2_000, partition=number))
    asked = settings(kafka, topic, group)

    with ExitStack() as stack:
        first, heard = stack.enter_context(opened(asked))
        poll_until(lambda: len(first.assignments()) == 4, first)
        second, _ = stack.enter_context(opened(asked))
        stop = threading.Event()
        other = threading.Thread(target=poll_until, args=(stop.is_set, second))
        other.start()
        try:
            while not heard.of("revoked"):
                before = first.assignments()
                for message in first.poll(50, 0.05):
                    partition = message.position.topic_partition
                    assert first.assignments()[partition] == message.assignment
                    assert before.get(partition) == message.assignment
        finally:
            stop.set()
            other.join()
        assert set(heard.of("revoked")).isdisjoint(first.assignments())


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_the_longest_time_between_two_looks_for_topics_keeps_nobody_from_reading(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    """librdkafka would forget at once what it heard of the topic, and wait for ever."""
    topic = topics()
    helpers.produce(kafka, topic, numbered(1))
    asked = settings(kafka, topic, group, group_protocol=protocol, topic_discovery_interval_s=3600)
    with opened(asked) as (source, _):
        read(source, 1)


def test_a_missing_topic_is_named_with_its_remedy(
    kafka: str, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.kafka.client.OPEN_TIMEOUT_S", 1.0)
    source = KafkaSource(settings(kafka, "no-such-topic", group))
    with pytest.raises(KafkaProblem, match=r"no-such-topic \(input_topics\).*create the topic"):
        source.open(Heard())
    source.close()


def test_a_topic_deleted_while_it_is_read_is_named(kafka: str, group: str) -> None:
    topic = helpers.create_topic(kafka, f"deleted-{group}")
    helpers.produce(kafka, topic, numbered(1))
    quick = {"topic.metadata.refresh.interval.ms": "500"}

    with opened(settings(kafka, topic, group, kafka=quick)) as (source, _):
        read(source, 1)
        assert source.troubles() == []
        helpers.remove_topics(kafka, [topic])
        poll_until(lambda: bool(source.troubles()), source)
        (trouble,) = source.troubles()
        assert trouble.startswith(f"the topic {topic} (input_topics) is gone; create it")


def test_no_committed_offset_is_an_error_where_asked(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    topic = topics()
    asked = settings(kafka, topic, group, auto_offset_reset="error")
    refused = pytest.raises(KafkaProblem, match=rf"{topic} \[0\].*auto_offset_reset")
    with opened(asked) as (source, _), refused:
        poll_until(lambda: False, source)


def test_an_offset_past_retention_is_an_error_where_asked(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    topic = topics()
    helpers.produce(kafka, topic, numbered(10))
    with opened(settings(kafka, topic, group)) as (source, _):
        read(source, 10)
        source.commit(client_offsets({TopicPartition(topic, 0): 2}))
    helpers.delete_records(kafka, topic, {0: 6})

    asked = settings(kafka, topic, group, auto_offset_reset="error")
    refused = pytest.raises(KafkaProblem, match=rf"{topic} \[0\].*auto_offset_reset")
    with opened(asked) as (source, _), refused:
        poll_until(lambda: False, source)
    with opened(settings(kafka, topic, group)) as (source, _):
        assert offsets(read(source, 4)) == [6, 7, 8, 9]


@PROTOCOLS
def test_a_pattern_finds_its_topics(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    stem = f"pattern-{group}"
    one, two = topics(f"{stem}-one"), topics(f"{stem}-two")
    helpers.produce(kafka, one, numbered(1))
    helpers.produce(kafka, two, numbered(1))

    outputs = {"output_topic": f"{group}-out", "dead_letter_topic": f"{group}-dead"}

    asked = settings(kafka, f"^{stem}-.*", group, group_protocol=protocol, **outputs)

    with opened(asked) as (source, _):
        got = read(source, 2)
    assert {m.position.topic_partition.topic for m in got} == {one, two}


def test_a_message_of_ten_megabytes_arrives(kafka: str, topics: TopicFactory, group: str) -> None:
    topic = topics()
    large = bytes(range(256)) * (10 * 1024 * 1024 // 256)
    helpers.produce(kafka, topic, [b"small", large, b"after"])

    with opened(settings(kafka, topic, group)) as (source, _):
        assert [m.value for m in read(source, 3)] == [b"small", large, b"after"]


@PROTOCOLS
def test_a_second_static_member_of_one_name_stops_one_of_them(
    kafka: str, topics: TopicFactory, group: str, protocol: str
) -> None:
    """The first under the classic protocol, the second under the new one."""
    topic = topics()
    asked = settings(
        kafka, topic, group, group_protocol=protocol, kafka={"group.instance.id": "same"}
    )
    refused = pytest.raises(KafkaProblem, match=r"another worker.*group\.instance\.id")
    with opened(asked) as (first, _):
        poll_until(lambda: bool(first.assignments()), first)
        with opened(asked) as (second, _), refused:
            if protocol == "classic":
                poll_until(lambda: False, first, second)
            else:
                poll_until(lambda: False, second)


def test_a_group_that_shares_out_in_another_way_is_named(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    """Cooperative and eager members never share a group."""
    topic = topics()
    eager = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": group,
            "partition.assignment.strategy": "range",
            "log_level": 0,
        }
    )
    eager.subscribe([topic])
    try:
        deadline = time.monotonic() + 60
        while not eager.assignment():
            assert time.monotonic() < deadline
            eager.poll(0.1)
        refused = pytest.raises(KafkaProblem, match="share out partitions in another way")
        with opened(settings(kafka, topic, group)) as (source, _), refused:
            poll_until(lambda: False, source)
    finally:
        eager.close()


def test_an_error_of_the_listener_comes_out_of_poll(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    class Broken(Heard):
        def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
            raise ValueError(f"broken on purpose: {len(partitions)}")

    source = KafkaSource(settings(kafka, topics(), group))
    source.open(Broken())
    with pytest.raises(ValueError, match="broken on purpose"):
        poll_until(lambda: False, source)
    source.close()


def test_a_property_that_the_consumer_protocol_forbids_is_named(
    kafka: str, topics: TopicFactory, group: str
) -> None:
    asked = settings(
        kafka, topics(), group, group_protocol="consumer", kafka={"session.timeout.ms": "6000"}
    )
    source = KafkaSource(asked)
    with pytest.raises(SettingsError, match=r"^kafka\.session\.timeout\.ms: "):
        source.open(Heard())
    source.close()
