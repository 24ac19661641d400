"""Where nothing waits, Apache Kafka's own tool sees no lag, behind transactions upstream too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from consumer.kafka.source.stamps import topic_id_in
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.group_tool import Standing, describe
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

LIGHT_WORKER = ("-m", "tests.faults.workers.light_worker")


def articles(partition: int, first: int, count: int) -> list[Record]:
    return [
        Record(json.dumps({"id": str(n), "body": "Ada Marsh"}).encode(), partition=partition)
        for n in range(first, first + count)
    ]


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_other_tools_see_no_lag_where_nothing_waits(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, delivery: str
) -> None:
    source, output, dead = topics("in", 4), topics("out"), topics("dead")
    upstream = helpers.producer(kafka, transactional_id=f"{group}-upstream")
    upstream.init_transactions(30)
    for _ in range(3):
        upstream.begin_transaction()
        helpers.put(upstream, source, articles(0, 0, 2))
        upstream.commit_transaction(30)
    upstream.begin_transaction()
    helpers.put(upstream, source, articles(1, 10, 5))
    upstream.flush(30)
    upstream.abort_transaction(30)
    helpers.produce(kafka, source, articles(2, 20, 4))
    hanging = helpers.producer(kafka, transactional_id=f"{group}-hanging")
    hanging.init_transactions(30)
    hanging.begin_transaction()
    helpers.put(hanging, source, articles(2, 30, 2))
    hanging.flush(30)
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": source,
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
        "delivery": delivery,
    }

    def committed() -> dict[int, int]:
        return helpers.committed_offsets(kafka, group, source)

    with WorkerProcess(settings, tmp_path, command=LIGHT_WORKER) as worker:
        # Two messages and a marker, three times; five that were aborted, and a marker; four before
        # a transaction that is open; nothing at all.
        worker.wait_until(lambda: committed() == {0: 9, 1: 6, 2: 4, 3: 0})
        assert describe(kafka, group) == {
            (source, 0): Standing(9, 9, 0),
            (source, 1): Standing(6, 6, 0),
            (source, 2): Standing(4, 6, 2),
            (source, 3): Standing(0, 0, 0),
        }
        # All were moved at once, and what no marker follows was not touched.
        assert 1 <= worker.metric("nerstream_offset_moves_total") <= 2
        assert worker.metric("nerstream_articles_published_total") == 10
        hanging.commit_transaction(30)
        worker.wait_until(lambda: committed()[2] == 7)
        assert worker.metric("nerstream_partition_lag_messages") == 0
        assert worker.terminate() == 0, worker.log.read_text()
    # What Kafka keeps beside an offset still says to which topic it belongs.
    reader = helpers.group_reader(kafka, group)
    stamps = reader.committed([TopicPartition(source, part) for part in range(4)], 30)
    reader.close()
    assert len({topic_id_in(one.metadata) for one in stamps}) == 1
    assert topic_id_in(stamps[0].metadata) is not None
    # The next worker reads on from there.
    for part in range(4):
        helpers.produce(kafka, source, articles(part, 100 + part, 1))
    with WorkerProcess(settings, tmp_path, command=LIGHT_WORKER) as worker:
        worker.wait_until(lambda: committed() == {0: 10, 1: 7, 2: 8, 3: 1})
        assert worker.terminate() == 0, worker.log.read_text()
    found = helpers.read_all(kafka, output)
    ids = sorted(int(json.loads(record.value or b"")["id"]) for record in found)
    assert ids == [0, 0, 0, 1, 1, 1, *range(20, 24), 30, 31, *range(100, 104)]
    assert helpers.read_all(kafka, dead) == []
