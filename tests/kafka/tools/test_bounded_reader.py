from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from consumer.contracts.cluster import Bounds
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import RawMessage
from consumer.kafka.tools import bounded_reader
from consumer.kafka.tools.bounded_reader import BoundedReader
from consumer.kafka.tools.embedded import EmbeddedBroker
from consumer.settings.schema import Settings
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record


def put(bootstrap: str, topic: str, count: int, partition: int = 0) -> None:
    records = [Record(b"%d" % number, partition=partition) for number in range(count)]
    helpers.produce(bootstrap, topic, records)


def read(reader: BoundedReader, spans: dict[int, tuple[int, int]]) -> list[tuple[int, int]]:
    """Partition and offset of each message, in the order of both."""
    found: list[RawMessage] = []
    reader.start(spans)
    deadline = time.monotonic() + 120
    while reader.places:
        assert time.monotonic() < deadline, reader.places
        found += reader.poll(7, 0.2)
    assert reader.left == 0
    assert reader.poll(7, 0.2) == []
    return sorted((one.position.topic_partition.partition, one.position.offset) for one in found)


@pytest.fixture
def embedded() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        broker.create_topics("t")
        yield broker.bootstrap_servers


class Noted:
    """A client that notes which of its methods are called."""

    def __init__(self, own: Any) -> None:
        self._own = own
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("assign", "pause", "resume"):
            self.called.append(name)
        return getattr(self._own, name)


def test_nothing_is_resumed_while_the_client_takes_up_a_partition(
    embedded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call has a number. Where a resume has a later one and is queued earlier, the client
    throws away all that it reads: one of 2,000 starts hung so on a busy machine."""
    put(embedded, "t", 20)
    with BoundedReader(Settings(bootstrap_servers=embedded), "t", "topic") as reader:
        noted = Noted(reader._consumer)
        monkeypatch.setattr(reader, "_consumer", noted)
        for _ in range(2):
            assert len(read(reader, {0: (3, 9)})) == 6
    assert noted.called == ["assign", "pause", "resume", "assign", "pause"]


def test_each_partition_is_read_from_its_begin_to_its_end(embedded: str) -> None:
    put(embedded, "t", 20)
    put(embedded, "t", 30, partition=1)
    with BoundedReader(Settings(bootstrap_servers=embedded), "t", "topic") as reader:
        assert reader.bounds() == {
            0: Bounds(0, 20, 20),
            1: Bounds(0, 30, 30),
            2: Bounds(0, 0, 0),
            3: Bounds(0, 0, 0),
        }
        assert read(reader, {0: (5, 12), 1: (0, 3), 2: (0, 0), 3: (4, 2)}) == [
            *((0, offset) for offset in range(5, 12)),
            *((1, offset) for offset in range(3)),
        ]
        # A partition that was read to its end can be read again.
        assert read(reader, {0: (0, 20)}) == [(0, offset) for offset in range(20)]
        assert read(reader, {}) == []


def test_another_start_lets_the_first_go(embedded: str) -> None:
    put(embedded, "t", 2_000)
    with BoundedReader(Settings(bootstrap_servers=embedded), "t", "topic") as reader:
        reader.start({0: (0, 2_000)})
        assert reader.left == 2_000
        while not reader.poll(10, 0.2):
            pass
        assert read(reader, {0: (100, 103)}) == [(0, 100), (0, 101), (0, 102)]


def test_markers_and_what_was_taken_back_are_passed_over(kafka: str, topics: TopicFactory) -> None:
    topic = topics("t")
    client = helpers.producer(kafka, transactional_id=topic)
    client.init_transactions(60)
    for is_good in (True, False):
        client.begin_transaction()
        helpers.put(client, topic, [Record(b"a"), Record(b"b")])
        client.flush(60)
        (client.commit_transaction if is_good else client.abort_transaction)(60)
    client.begin_transaction()
    helpers.put(client, topic, [Record(b"c")])
    client.flush(60)
    with BoundedReader(Settings(bootstrap_servers=kafka), topic, "topic") as reader:
        # Two messages and a marker, twice, and one message that is open.
        assert reader.bounds() == {0: Bounds(0, 6, 7)}
        assert read(reader, {0: (0, 6)}) == [(0, 0), (0, 1)]
        reader.start({0: (0, 7)})
        for _ in range(5):
            reader.poll(10, 0.2)
        assert reader.places == {0: 6}
        client.commit_transaction(60)
        deadline = time.monotonic() + 120
        taken: list[RawMessage] = []
        while reader.places:
            assert time.monotonic() < deadline
            taken += reader.poll(10, 0.2)
        assert [one.value for one in taken] == [b"c"]


def test_what_was_removed_is_passed_over(kafka: str, topics: TopicFactory) -> None:
    topic = topics("t")
    put(kafka, topic, 10)
    helpers.delete_records(kafka, topic, {0: 6})
    with BoundedReader(Settings(bootstrap_servers=kafka), topic, "topic") as reader:
        assert reader.bounds() == {0: Bounds(6, 10, 10)}
        assert read(reader, {0: (0, 8)}) == [(0, 6), (0, 7)]
        # All of a stretch may be gone.
        assert read(reader, {0: (0, 4)}) == []


def test_topics_are_counted_and_never_created(kafka: str, topics: TopicFactory) -> None:
    topic = topics("t", 3)
    settings = Settings(bootstrap_servers=kafka)
    with BoundedReader(settings, topic, "topic") as reader:
        assert reader.partition_count(topic) == 3
        assert reader.partition_count("no-such-topic") == 0
        assert reader.cluster_id()
    with pytest.raises(KafkaProblem, match=r"no-such-topic \(--here\) cannot be used"):
        BoundedReader(settings, "no-such-topic", "--here")


def test_a_topic_that_this_user_may_not_write(
    embedded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_reader, "may_write", lambda _, topic: topic != "t")
    with BoundedReader(Settings(bootstrap_servers=embedded), "t", "topic") as reader:
        assert reader.partition_count("t") is None


def test_a_topic_that_this_user_may_not_see_is_none_of_those_that_are_missing(
    embedded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    answer = SimpleNamespace(topics={"t": SimpleNamespace(error=denied, partitions={})})
    with BoundedReader(Settings(bootstrap_servers=embedded), "t", "topic") as reader:
        monkeypatch.setattr(reader, "_metadata", lambda _: answer)
        assert reader.partition_count("t") is None
        with pytest.raises(KafkaProblem, match=r"the topic t cannot be used: .*; allow this user"):
            reader.bounds()
