"""`nerstream run --workers` on Apache Kafka: names, bounded runs, what is told once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

LIGHT_WORKERS = ("-m", "tests.faults.workers.light_workers")


def articles(partitions: int, count: int) -> list[Record]:
    return [
        Record(json.dumps({"id": str(n), "body": "Ada Marsh"}).encode(), partition=n % partitions)
        for n in range(count)
    ]


def test_a_bounded_run_of_several_workers_ends_when_all_have(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    source, output, dead = topics("in", 3), topics("out"), topics("dead")
    helpers.produce(kafka, source, articles(3, 300))
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": source,
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
        "until": "end",
        "workers": 2,
    }
    with WorkerProcess(settings, tmp_path, command=LIGHT_WORKERS) as process:
        assert process.wait() == 0, process.log.read_text()
    ids = sorted(int(json.loads(one.value or b"")["id"]) for one in helpers.read_all(kafka, output))
    assert ids == list(range(300))
    # The same again is done already, which the first worker finds out.
    with WorkerProcess(settings, tmp_path, command=LIGHT_WORKERS) as process:
        assert process.wait() == 0, process.log.read_text()
    assert len(helpers.read_all(kafka, output)) == 300


def test_each_worker_has_a_name_of_its_own_and_one_too_many_is_told(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    source, output, dead = topics("in", 1), topics("out"), topics("dead")
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": source,
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
        "instance": "pod-a",
        "workers": 2,
    }
    with WorkerProcess(settings, tmp_path, command=LIGHT_WORKERS) as process:
        process.wait_ready()
        helpers.produce(kafka, source, articles(1, 20))
        published = "nerstream_articles_published_total"
        process.wait_until(lambda: process.metric(published) == 20)
        # The other has none, and says so; all together are ready.
        process.wait_until(lambda: "more workers than partitions" in process.get("/workers")[1])
        assert process.get("/readyz")[0] == 200
        assert process.terminate() == 0, process.log.read_text()
    said = [one["event"] for one in process.events()]
    for number in (1, 2):
        assert f"transactional id {group}@pod-a-{number}" in said
    told = [one for one in said if one.startswith("2 workers for an input of 1 partitions")]
    assert len(told) == 1


def test_what_keeps_the_first_worker_from_starting_is_told_once(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": topics("in"),
        "output_topic": f"{group}-nowhere",
        "dead_letter_topic": topics("dead"),
        "group_id": group,
        "workers": 3,
    }
    with WorkerProcess(settings, tmp_path, command=LIGHT_WORKERS) as process:
        assert process.wait() == 1
    log = process.log.read_text()
    assert log.count("nerstream: error:") == 1
    assert "worker 1 cannot start (exit code 1)" in log
    assert f"{group}-nowhere" in log
    assert not [one for one in process.events() if one.get("worker") in (2, 3)]
