"""The two sinks on brokers, beyond the contract of `tests/kafka/sink/test_contract.py`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from consumer.contracts.errors import AbortableError, KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.contracts.ports import Sink
from consumer.kafka.sink.acknowledged_sink import AcknowledgedSink
from consumer.kafka.sink.sink import make_sink
from consumer.kafka.sink.transactional_sink import TransactionalSink
from consumer.kafka.source.source import KafkaSource
from consumer.kafka.tools.embedded import EmbeddedBroker
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.murmur2 import murmur2, partition_of
from tests.integration.rigs.reading import Heard, read
from tests.integration.rigs.writing import Ground, after, opened, write

DELIVERIES = pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])


@pytest.fixture
def ground(kafka: str, group: str) -> Iterator[Ground]:
    """Topics of 4 partitions on Apache Kafka."""
    ground = Ground(kafka, f"input-{group}", group)
    names = [ground.topic, ground.output, ground.dead]
    for name in names:
        helpers.create_topic(kafka, name, 4)
    yield ground
    helpers.delete_topics(kafka, names)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def either(request: pytest.FixtureRequest, group: str) -> Iterator[Ground]:
    """The same on either broker."""
    if request.param == "kafka":
        yield request.getfixturevalue("ground")
        return
    with EmbeddedBroker() as broker:
        topic = f"input-{uuid.uuid4().hex[:8]}"
        helpers.produce(broker.bootstrap_servers, topic, [b"creates the topic"])
        yield Ground(broker.bootstrap_servers, topic, group)


# --- on both brokers


@DELIVERIES
def test_a_sink_that_is_closed_says_so(either: Ground, delivery: str) -> None:
    with opened(either.settings(delivery=delivery), join=False) as (sink, _):
        sink.close()
        with pytest.raises(KafkaProblem, match="not open"):
            sink.begin()


# --- on Apache Kafka: what is final


@DELIVERIES
def test_offsets_are_committed_with_nothing_sent(ground: Ground, delivery: str) -> None:
    with opened(ground.settings(delivery=delivery)) as (sink, _):
        sink.begin()
        sink.commit({ground.partition: 17}, lambda: True)
        assert ground.committed() == 17
        sink.begin()
        sink.commit({}, lambda: True)

    assert ground.committed() == 17
    assert ground.values() == []


def test_outputs_and_offsets_become_visible_together(ground: Ground) -> None:
    with opened(ground.settings()) as (sink, _):
        sink.begin()
        sink.send(ground.message(0))
        deadline = time.monotonic() + 30
        while not ground.values("read_uncommitted"):
            assert time.monotonic() < deadline
        assert ground.values() == []
        assert ground.committed() == 0
        sink.commit({ground.partition: 1}, lambda: True)
        assert ground.values() == [b"0"]
        assert ground.committed() == 1


def test_an_aborted_transaction_leaves_nothing(ground: Ground) -> None:
    with opened(ground.settings()) as (sink, _):
        sink.begin()
        for number in range(100):
            sink.send(ground.message(number))
        sink.abort()
        write(sink, [ground.message(7)])

    assert ground.values() == [b"7"]
    assert ground.committed() == 8


def test_close_aborts_what_is_open(ground: Ground) -> None:
    """A transaction left open would hold back every reader of the partition."""
    with opened(ground.settings(transaction_timeout_ms=600_000)) as (sink, _):
        sink.begin()
        sink.send(ground.message(0, partition=0))
        while not ground.values("read_uncommitted"):
            pass
    # One message and the marker of its abort.
    assert helpers.settled_ends(ground.bootstrap, ground.output)[0] == 2
    assert ground.values() == []


def test_keys_go_where_the_java_client_puts_them(ground: Ground) -> None:
    # From the Java client's own tests of its hash.
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, value in known.items():
        assert murmur2(key) == value & 0xFFFFFFFF
    keys = [b"", b"a", b"foobar", "Zürich".encode(), *(f"key-{n}".encode() for n in range(60))]

    with opened(ground.settings()) as (sink, _):
        write(sink, [ground.message(n, key=key) for n, key in enumerate(keys)])

    records = helpers.read_all(ground.bootstrap, ground.output)
    assert {one.key: one.partition for one in records} == {k: partition_of(k, 4) for k in keys}


# --- on Apache Kafka: fencing


def test_a_second_worker_of_the_same_name_fences_the_first(ground: Ground) -> None:
    with opened(ground.settings()) as (first, _):
        first.begin()
        first.send(ground.message(0, b"of the first"))
        with opened(ground.settings(), join=False) as (second, _):
            with pytest.raises(KafkaProblem, match=f"{ground.group}@one.*same instance") as fenced:
                first.commit({ground.partition: 1}, lambda: True)
            assert not isinstance(fenced.value, AbortableError)
            second.begin()
            second.send(ground.message(0, b"of the second"))
            second.commit({}, lambda: True)
            with pytest.raises(KafkaProblem, match="same instance"):
                first.abort()

    assert ground.values() == [b"of the second"]
    assert ground.committed() == 0


def test_a_predecessor_that_died_is_ended_at_once(ground: Ground) -> None:
    """Without the fence its open transaction would hold back readers for ten minutes."""
    asked = ground.settings(transaction_timeout_ms=600_000)
    source = KafkaSource(asked)
    dead = TransactionalSink(asked, source)
    dead.open()
    dead.begin()
    dead.send(ground.message(0, b"never finished", partition=0))
    while not ground.values("read_uncommitted"):
        pass
    assert helpers.end_offsets(ground.bootstrap, ground.output)[0] == 0

    with opened(asked) as (sink, _):
        assert helpers.end_offsets(ground.bootstrap, ground.output)[0] == 2
        write(sink, [ground.message(0, b"done", partition=0)])

    assert ground.values() == [b"done"]


@DELIVERIES
def test_a_member_that_was_put_out_commits_nothing(ground: Ground, delivery: str) -> None:
    """The worker believes that it still owns the partition; its generation says otherwise."""
    helpers.produce(ground.bootstrap, ground.topic, [Record(b"0", partition=0)])
    patience = {"max.poll.interval.ms": "6000", "session.timeout.ms": "6000"}
    slow = ground.settings(delivery=delivery, kafka=patience)
    with opened(slow) as (sink, source):
        read(source, 1)
        sink.begin()
        sink.send(ground.message(0, b"too late"))
        with opened(ground.settings(delivery=delivery, instance="two")) as (other, new_owner):
            # `source` is not polled any more, so its partitions go to the other one.
            read(new_owner, 1)
            write(other, [ground.message(0, b"in time")])
            with pytest.raises(AbortableError):
                sink.commit({ground.partition: 1}, lambda: True)
            sink.abort()
    if delivery == "exactly_once":
        assert ground.values() == [b"in time"]
    else:
        assert sorted(ground.values(), key=str) == [b"in time", b"too late"]
    assert ground.committed() == 1


def test_a_transaction_that_outlived_its_timeout_is_not_committed(ground: Ground) -> None:
    with opened(ground.settings(transaction_timeout_ms=1_000)) as (sink, _):
        sink.begin()
        sink.send(ground.message(0, b"late", partition=0))
        while not ground.values("read_uncommitted"):
            pass
        deadline = time.monotonic() + 60
        while helpers.end_offsets(ground.bootstrap, ground.output)[0] < 2:
            assert time.monotonic() < deadline, "the broker did not abort the transaction"
        with pytest.raises(AbortableError, match="transaction_timeout_ms"):
            sink.commit({ground.partition: 1}, lambda: True)
        sink.abort()
        assert ground.values() == []
        assert ground.committed() == 0
        write(sink, [ground.message(0, b"again", partition=0)])

    assert ground.values() == [b"again"]
    assert ground.committed() == 1


def test_a_closed_source_commits_nothing(ground: Ground) -> None:
    with opened(ground.settings()) as (sink, source):
        sink.begin()
        sink.send(ground.message(0))
        source.close()
        with pytest.raises(AbortableError, match="closed"):
            sink.commit({ground.partition: 1}, lambda: True)
        sink.abort()

    assert ground.values() == []


# --- on Apache Kafka: what the topics refuse


@DELIVERIES
def test_only_the_message_that_is_too_large_is_named(kafka: str, group: str, delivery: str) -> None:
    """Its small neighbours were refused with it, in one batch on the wire."""
    ground = Ground(kafka, f"input-{group}", group)
    limit = {"max.message.bytes": "2000"}
    for name in (ground.topic, ground.output, ground.dead):
        helpers.create_topic(kafka, name, 1, limit if name == ground.output else None)
    small = [ground.message(n, b"s" * 900) for n in range(4)]
    large = ground.message(4, b"L" * 3_000)
    asked = ground.settings(delivery=delivery, kafka={"compression.type": "none"})

    with opened(asked) as (sink, _):
        tries = 0
        while not sink.refused(ground.output, large.position):
            tries += 1
            assert tries <= 2
            with pytest.raises(AbortableError, match=f"too large for the topic {ground.output}"):
                write(sink, [*small, large])
            sink.abort()
        assert not sink.refused(ground.dead, large.position)
        write(sink, [*small, ground.message(5, b"after")])
        # Several to a batch again, which together exceed what one may have.
        with pytest.raises(AbortableError):
            write(sink, [ground.message(n, b"t" * 900) for n in range(6, 12)])
        sink.abort()
        write(sink, [ground.message(n, b"t" * 900) for n in range(6, 12)])
        # What is behind the committed offsets is forgotten: it does not come by again.
        assert not any(sink.refused(ground.output, ground.message(n).position) for n in range(12))

    written = ground.values()
    assert b"L" * 3_000 not in written
    if delivery == "exactly_once":
        assert written == [b"s" * 900] * 4 + [b"after"] + [b"t" * 900] * 6
    assert {b"s" * 900, b"after", b"t" * 900} == set(written)
    assert ground.committed() == 12
    helpers.delete_topics(kafka, [ground.topic, ground.output, ground.dead])


@DELIVERIES
def test_a_missing_dead_letter_topic_is_named(
    kafka: str, topics: TopicFactory, group: str, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.kafka.client.OPEN_TIMEOUT_S", 1.0)
    asked = Ground(kafka, topics(), group).settings(delivery=delivery, output_topic=topics())
    sink = make_sink(asked, KafkaSource(asked))
    missing = rf"{asked.dead_letter_topic} \(dead_letter_topic\).*create the topic"
    with pytest.raises(KafkaProblem, match=missing):
        sink.open()
    sink.close()


@DELIVERIES
@pytest.mark.parametrize("partitions", [4, 2], ids=["as_many", "fewer"])
def test_an_output_topic_that_vanishes_is_written_when_it_is_back(
    ground: Ground, delivery: str, partitions: int
) -> None:
    quick = {
        "topic.metadata.propagation.max.ms": "100",
        "topic.metadata.refresh.interval.ms": "500",
    }
    with opened(ground.settings(delivery=delivery, kafka=quick)) as (sink, source):
        write(sink, [ground.message(0, partition=sink.partition_count(ground.output) - 1)])
        helpers.remove_topics(ground.bootstrap, [ground.output])
        told = f"the topic {ground.output} cannot be written"
        # On a busy machine the client may be too late to tell.
        with pytest.raises(AbortableError, match=f"{told}|were not acknowledged"):
            write_until_it_fails(sink, ground)
        sink.abort()
        helpers.create_topic(ground.bootstrap, ground.output, partitions)
        write_until_it_is_taken(sink, source, ground)
        values = ground.values()
        assert values == [b"back"] if delivery == "exactly_once" else set(values) == {b"back"}
        assert sink.partition_count(ground.output) == partitions


def write_until_it_fails(sink: Sink, ground: Ground) -> None:
    for number in range(1, 100):
        write(sink, [ground.message(number, partition=3)])
        time.sleep(0.1)


def write_until_it_is_taken(sink: Sink, source: KafkaSource, ground: Ground) -> None:
    """As the worker does: what failed is read again, and spread over what partitions there are."""
    deadline, last = time.monotonic() + 120, ""
    while time.monotonic() < deadline:
        try:
            partition = 3 % sink.partition_count(ground.output)
            write(sink, [ground.message(1, b"back", partition=partition)])
        except AbortableError as failed:
            last = str(failed)
            sink.abort()
            # In here the topics are asked for again.
            source.poll(1, 0.1)
        else:
            return
    pytest.fail(f"it is not written: {last}")


def test_a_worker_without_a_name_takes_the_lowest_free_number(ground: Ground) -> None:
    asked = ground.settings(instance="")
    with opened(asked, join=False) as (first, _), opened(asked, join=False) as (second, _):
        for sink, value in ((first, b"1"), (second, b"2"), (first, b"3")):
            sink.begin()
            sink.send(ground.message(0, value))
            sink.commit({}, lambda: True)

    assert sorted(ground.values(), key=str) == [b"1", b"2", b"3"]


def test_groups_and_instances_that_read_alike_in_a_row_do_not_fence_each_other(
    ground: Ground,
) -> None:
    """`news` with `eu-0` and `news-eu` with `0`."""
    one = ground.settings(group_id=ground.group, instance="eu-0")
    two = ground.settings(group_id=f"{ground.group}-eu", instance="0")
    with opened(one, join=False) as (first, _), opened(two, join=False) as (second, _):
        for sink, value in ((first, b"1"), (second, b"2"), (first, b"3")):
            sink.begin()
            sink.send(ground.message(0, value))
            sink.commit({}, lambda: True)

    assert sorted(ground.values(), key=str) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("odd", ["g" * 7_900, "a%b@c d/*?+"])
def test_long_and_odd_names_are_taken(ground: Ground, odd: str) -> None:
    asked = ground.settings(group_id=ground.group + odd, instance="ü" * 4_000)
    with opened(asked) as (sink, _):
        write(sink, [ground.message(0, b"1")])
    assert ground.values() == [b"1"]


def test_the_sink_is_of_the_delivery_mode(ground: Ground) -> None:
    source = KafkaSource(ground.settings())
    once = make_sink(ground.settings(delivery="exactly_once"), source)
    at_least_once = make_sink(ground.settings(delivery="at_least_once"), source)
    assert isinstance(once, TransactionalSink)
    assert isinstance(at_least_once, AcknowledgedSink)


def test_after_a_failed_commit_the_same_input_can_be_read_and_committed(ground: Ground) -> None:
    """Abort, rewind, again: the whole recovery, with messages that really came from Kafka."""
    inputs = [Record(str(n).encode(), partition=0) for n in range(10)]
    helpers.produce(ground.bootstrap, ground.topic, inputs)
    source = KafkaSource(ground.settings())
    sink = make_sink(ground.settings(), source)
    source.open(Heard())
    sink.open()
    first = read(source, 10)
    sink.begin()
    for raw in first:
        sink.send(ground.message(raw.position.offset, raw.value, key=b"k"))
    with pytest.raises(AbortableError):
        sink.commit({ground.partition: 10}, lambda: False)
    sink.abort()
    source.rewind({ground.partition: 0})
    again = read(source, 10)
    write(sink, [ground.message(raw.position.offset, raw.value, key=b"k") for raw in again])
    sink.close()
    source.close()

    assert ground.values() == [record.value for record in inputs]
    assert ground.committed() == 10
    assert after([ground.message(9)]) == {TopicPartition(ground.topic, 0): 10}
