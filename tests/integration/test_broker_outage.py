"""The source and the sinks while their broker is killed and comes back."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator

import pytest

from consumer.contracts.errors import AbortableError
from consumer.contracts.ports import Sink
from consumer.kafka.source.end_offsets import EndOffsets
from consumer.kafka.source.source import KafkaSource
from tests.conftest import start_or_skip
from tests.faults.brokers.broker import running_cluster
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.reading import offsets, poll_until, read
from tests.integration.rigs.reading import opened as opened_source
from tests.integration.rigs.writing import Ground, opened, write
from tests.integration.servers.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    """A broker of our own: the others would not like to see theirs killed."""
    server = start_or_skip()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def ground(server: KafkaServer) -> Ground:
    name = uuid.uuid4().hex[:8]
    ground = Ground(server.bootstrap_servers, f"input-{name}", f"group-{name}")
    for topic in (ground.topic, ground.output, ground.dead):
        helpers.create_topic(ground.bootstrap, topic)
    return ground


def write_with_recovery(sink: Sink, ground: Ground, numbers: range) -> int:
    """Write as the pipeline does, again after an abort; how often it took."""
    for tries in range(1, 11):
        try:
            write(sink, [ground.message(n) for n in numbers])
        except AbortableError:
            sink.abort()
        else:
            return tries
    raise AssertionError("ten aborts are enough")


def test_reading_goes_on_where_it_was(server: KafkaServer, ground: Ground) -> None:
    helpers.produce(ground.bootstrap, ground.topic, [Record(str(n).encode()) for n in range(200)])
    with opened_source(ground.settings()) as (source, _):
        got = read(source, 50, at_once=10)
        source.pause()
        server.kill()
        assert source.poll(10, 1.0) == []
        server.restart()
        source.resume()
        got += read(source, 150, at_once=10)
        # A broker that lost the member may have assigned the partition anew, from the start.
        first = {m.assignment: m.position.offset for m in reversed(got)}
        for number, start in first.items():
            of_one = offsets([m for m in got if m.assignment == number])
            assert of_one == list(range(start, start + len(of_one)))


def test_a_transaction_over_a_killed_broker_is_final_once(
    server: KafkaServer, ground: Ground
) -> None:
    with opened(ground.settings()) as (sink, source):
        write(sink, [ground.message(n) for n in range(10)])
        sink.begin()
        for number in range(10, 20):
            sink.send(ground.message(number))
        server.kill()
        back = threading.Timer(2.0, server.restart)
        back.start()
        try:
            sink.commit({ground.partition: 20}, lambda: True)
            tries = 0
        except AbortableError:
            sink.abort()
            tries = write_with_recovery(sink, ground, range(10, 20))
        finally:
            back.join()
        poll_until(lambda: bool(source.assignments()), source)
        write_with_recovery(sink, ground, range(20, 30))
        assert tries <= 10

    assert ground.values() == [str(n).encode() for n in range(30)]
    assert ground.committed() == 30


def test_what_is_not_acknowledged_in_time_is_not_committed(
    server: KafkaServer, ground: Ground
) -> None:
    asked = ground.settings(delivery="at_least_once", transaction_timeout_ms=2_000)
    with opened(asked) as (sink, source):
        write(sink, [ground.message(0)])
        server.kill()
        sink.begin()
        sink.send(ground.message(1))
        with pytest.raises(AbortableError, match="not acknowledged"):
            sink.commit({ground.partition: 2}, lambda: True)
        sink.abort()
        server.restart()
        poll_until(lambda: bool(source.assignments()), source)
        write_with_recovery(sink, ground, range(1, 3))

    assert ground.values()[-2:] == [b"1", b"2"]
    assert ground.values()[0] == b"0"
    assert ground.committed() == 3


def test_a_broker_that_is_down_costs_no_processor_time_and_the_lag_is_known_again(
    server: KafkaServer,
) -> None:
    """With the client's own defaults the question for the lag took nine tenths of a core. And the
    client that asks looked for the leaders where they had been, until that broker was back."""
    assert server.running  # where there is no Apache Kafka, this is skipped with the others
    with running_cluster() as cluster:
        ground = Ground(cluster.direct, f"input-{uuid.uuid4().hex[:8]}", "group")
        helpers.create_topic(ground.bootstrap, ground.topic, 6)
        with opened_source(ground.settings()) as (source, _):
            poll_for(source, 2.0)
            cluster.server.kill()
            # The next question comes after `EndOffsets.INTERVAL_S`, and waits for the dead one.
            poll_for(source, EndOffsets.INTERVAL_S + 2.0)
            before_s = time.process_time()
            poll_for(source, 3.0)
            assert time.process_time() - before_s < 1.0
            records = [Record(b"{}", partition=part) for part in range(6)]
            helpers.produce(ground.bootstrap, ground.topic, records)
            ends = dict.fromkeys(source.assignments(), 1)
            assert len(ends) == 6
            poll_until(lambda: source.last_stable() == ends == source.end_offsets(), source)


def poll_for(source: KafkaSource, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        source.poll(10, 0.05)
