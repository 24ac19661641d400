"""RangeReader and Places on Apache Kafka: just what is asked for, and what is gone is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.kafka.tools.places import Places
from consumer.kafka.tools.ranges import RangeReader
from consumer.settings.schema import Settings
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record

pytestmark = pytest.mark.kafka


@dataclass
class Read:
    """All that a reader brought."""

    offsets: list[int] = field(default_factory=list)
    own_times: set[bool] = field(default_factory=set)
    removed: list[tuple[TopicPartition, int, int]] = field(default_factory=list)
    done: int = 0


def read(bootstrap: str, topic: str, start: int, end: int) -> Read:
    partition = TopicPartition(topic, 0)
    found = Read()
    with RangeReader(Settings(bootstrap_servers=bootstrap, group_id=topic)) as reader:
        for taken in reader.read({partition: (start, end)}):
            found.offsets += [raw.position.offset for raw, _ in taken.messages]
            found.own_times |= {own for _, own in taken.messages}
            found.removed += taken.removed
            assert taken.held == []
            found.done = taken.done
    return found


def put(bootstrap: str, topic: str, count: int = 30) -> None:
    records = [Record(b"%d" % n, timestamp_ms=1_700_000_000_000 + n) for n in range(count)]
    helpers.produce(bootstrap, topic, records)


@pytest.mark.parametrize(("start", "end"), [(0, 30), (5, 20), (29, 30), (7, 7)])
def test_a_range_is_read_and_no_more(
    kafka: str, topics: TopicFactory, start: int, end: int
) -> None:
    topic = topics()
    put(kafka, topic)
    found = read(kafka, topic, start, end)
    assert found.offsets == list(range(start, end))
    assert found.done == end - start


def test_markers_and_what_was_taken_back_are_passed_over(kafka: str, topics: TopicFactory) -> None:
    topic = topics()
    upstream = helpers.producer(kafka, transactional_id=f"{topic}-upstream")
    upstream.init_transactions(60)
    for is_kept in (True, False):
        upstream.begin_transaction()
        helpers.put(upstream, topic, [Record(b"%d" % n) for n in range(5)])
        upstream.flush(60)
        (upstream.commit_transaction if is_kept else upstream.abort_transaction)(60)
    # Five messages and a marker, twice.
    found = read(kafka, topic, 0, 12)
    assert (found.offsets, found.done) == ([0, 1, 2, 3, 4], 12)


def test_what_was_removed_is_told_and_the_rest_is_read(kafka: str, topics: TopicFactory) -> None:
    topic = topics()
    put(kafka, topic)
    helpers.delete_records(kafka, topic, {0: 12})
    found = read(kafka, topic, 0, 30)
    assert found.removed == [(TopicPartition(topic, 0), 0, 12)]
    assert (found.offsets, found.done) == (list(range(12, 30)), 30)
    found = read(kafka, topic, 0, 10)
    assert found.removed == [(TopicPartition(topic, 0), 0, 10)]
    assert (found.offsets, found.done) == ([], 10)


@pytest.mark.parametrize("kind", ["CreateTime", "LogAppendTime"])
def test_whose_time_a_timestamp_is_is_told(kafka: str, topics: TopicFactory, kind: str) -> None:
    topic = topics(config={"message.timestamp.type": kind})
    put(kafka, topic, 3)
    assert read(kafka, topic, 0, 3).own_times == {kind == "CreateTime"}


def test_no_broker_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.kafka.tools.ranges._GRACE_S", 0.1)
    settings = Settings(bootstrap_servers="127.0.0.1:1", transaction_timeout_ms=1_000)
    with (
        RangeReader(settings) as reader,
        pytest.raises(KafkaProblem, match=r"nothing has come from 127\.0\.0\.1:1 for 1 s"),
    ):
        list(reader.read({TopicPartition("news", 0): (0, 5)}))


def test_places(kafka: str, topics: TopicFactory, group: str) -> None:
    topic, compacted = topics("a", 2), topics("b", 1, {"cleanup.policy": "compact,delete"})
    helpers.produce(
        kafka, topic, [Record(b"", timestamp_ms=1_000 * n, partition=0) for n in range(1, 11)]
    )
    helpers.delete_records(kafka, topic, {0: 3})
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with Places(Settings(bootstrap_servers=kafka, group_id=group)) as places:
        assert places.topics((topic,), "input_topics") == {topic: [0, 1]}
        assert places.topics((rf"^{topic[:-1]}.",), "input_topics") == {topic: [0, 1]}
        with pytest.raises(KafkaProblem, match="no topic that the pattern"):
            places.topics(("^nothing-.*",), "input_topics")
        assert places.starts([first, second]) == {first: 3, second: 0}
        assert places.ends([first, second]) == {first: 10, second: 0}
        assert places.at([first, second], 7_000) == {first: 6, second: 0}
        assert places.at([first], 60_000) == {first: 10}
        # In the protocol -1 is the end, -2 the beginning and -3 the newest message.
        for before_the_epoch in (-1, -2, -3, -315_619_200_000):
            assert places.at([first], before_the_epoch) == {first: 3}
        assert places.committed([first]) == {}
        assert places.compacted({topic, compacted}) == {compacted}
