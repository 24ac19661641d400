"""A producer upstream that leaves its transaction open: what the worker's metrics say of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

LIGHT_WORKER = ("-m", "tests.faults.workers.light_worker")


def articles(first: int, count: int) -> list[Record]:
    return [
        Record(json.dumps({"id": str(n), "body": "Ada Marsh spoke"}).encode(), partition=0)
        for n in range(first, first + count)
    ]


def seen(worker: WorkerProcess) -> tuple[float, float, float] | None:
    """Last stable offset, high watermark and lag, once all are told."""
    names = (
        "nerstream_partition_last_stable_offset",
        "nerstream_partition_high_watermark_offset",
        "nerstream_partition_lag_messages",
    )
    try:
        stable, high, lag = (worker.metric(name) for name in names)
    except AssertionError:
        return None
    return stable, high, lag


@pytest.mark.parametrize("before", [3, 0])
@pytest.mark.parametrize("end", ["commit", "abort"])
def test_what_a_hanging_transaction_holds_back_is_lag_without_progress(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, before: int, end: str
) -> None:
    source, output, dead = (topics(name) for name in ("in", "out", "dead"))
    helpers.produce(kafka, source, articles(0, before))
    hanging = helpers.producer(kafka, transactional_id=f"{group}-upstream")
    hanging.init_transactions(30)
    hanging.begin_transaction()
    helpers.put(hanging, source, articles(100, 2))
    hanging.flush(30)
    helpers.produce(kafka, source, articles(200, 50))
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": source,
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
    }
    with WorkerProcess(settings, tmp_path, command=LIGHT_WORKER) as worker:
        waiting = (before, before + 52, 52)
        worker.wait_until(lambda: seen(worker) == waiting)
        then = worker.metric("nerstream_partition_seconds_since_progress")
        time.sleep(3)
        stood = worker.metric("nerstream_partition_seconds_since_progress") - then
        assert 2 < stood < 10
        assert seen(worker) == waiting

        (hanging.commit_transaction if end == "commit" else hanging.abort_transaction)(30)
        # What it held, what stood behind it, and its marker.
        worker.wait_until(lambda: seen(worker) == (before + 53, before + 53, 0))
        worker.wait_until(lambda: worker.metric("nerstream_partition_seconds_since_progress") < 2)
        published = before + 50 + (2 if end == "commit" else 0)
        assert worker.metric("nerstream_articles_published_total") == published
        assert worker.terminate() == 0, worker.log.read_text()
    ids = {json.loads(record.value or b"")["id"] for record in helpers.read_all(kafka, output)}
    assert len(ids) == published
