"""A worker as a process that begins at the end, or has nothing to read yet, on Apache Kafka."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

COMMAND = ("-m", "tests.faults.workers.light_worker")


def article(name: str) -> bytes:
    return json.dumps({"id": name, "title": "Oslo"}).encode()


def ids(records: list[helpers.Record]) -> list[str]:
    return [json.loads(record.value or b"")["id"] for record in records]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_what_is_written_once_a_worker_is_ready_comes_out_however_often_it_is_killed(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, delivery: str, protocol: str
) -> None:
    taken, output, dead = topics("in", partitions=3), topics("out"), topics("dead")
    helpers.produce(kafka, taken, [article("old")])
    settings: dict[str, Any] = {
        "bootstrap_servers": kafka,
        "input_topics": taken,
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
        "group_protocol": protocol,
        "delivery": delivery,
        "auto_offset_reset": "latest",
        "kafka": {"session.timeout.ms": "2000"} if protocol == "classic" else {},
    }
    with WorkerProcess(settings, tmp_path, "idle", COMMAND, warm=False) as worker:
        worker.wait_ready()
        worker.kill()
    helpers.produce(kafka, taken, [article("between")])
    with WorkerProcess(settings, tmp_path, "second", COMMAND, warm=False) as worker:
        worker.wait_ready()
        helpers.produce(kafka, taken, [article("ready")])
        records = helpers.wait_for_records(kafka, output, 2)
        assert worker.terminate() == 0, worker.log.read_text()
    assert sorted(ids(records)) == ["between", "ready"]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_pattern_without_a_topic_is_told_and_its_first_topic_is_soon_read(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, protocol: str
) -> None:
    output, dead = topics("out"), topics("dead")
    stem = group.replace("group", "in")
    settings: dict[str, Any] = {
        "bootstrap_servers": kafka,
        "input_topics": f"^{stem}-[a-z]{{1,3}}-.*",
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
        "group_protocol": protocol,
        "auto_offset_reset": "latest",
        "topic_discovery_interval_s": 2,
    }
    said = f"no topic matches the pattern ^{stem}-[a-z]{{1,3}}-.* (input_topics)"
    with WorkerProcess(settings, tmp_path, command=COMMAND, warm=False) as worker:
        deadline = time.monotonic() + 60
        while said not in (answer := worker.get("/readyz"))[1]:
            assert time.monotonic() < deadline, answer
            time.sleep(0.1)
        assert answer[0] == 503
        told = f"{said}; it is looked for every 2 s"
        worker.wait_until(lambda: told in worker.log.read_text(), "the log says so too")
        topic = topics(f"{stem}-ab-c")
        helpers.produce(kafka, topic, [article("first")])
        created_at = time.monotonic()
        worker.wait_ready()
        assert ids(helpers.wait_for_records(kafka, output, 1)) == ["first"]
        # The client's own interval is five minutes.
        assert time.monotonic() - created_at < 200
        assert worker.terminate() == 0, worker.log.read_text()
    assert len([one for one in worker.events() if one["event"].startswith(said)]) == 1


@pytest.mark.parametrize("pattern", ["^reg-[", "^reg-"])
def test_a_wrong_pattern_ends_in_one_sentence_before_anything_starts(pattern: str) -> None:
    command = [sys.executable, "-m", "consumer", "run", "--input-topics", pattern]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"nerstream: error: --input-topics: {pattern} ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("passed", "code", "said"),
    [
        ("retries=0", 2, "nerstream: error: kafka.retries: "),
        ("socket.timeout.ms=2000", 1, "nerstream: error: "),
    ],
)
def test_what_a_person_can_put_right_is_told_without_a_traceback(
    tmp_path: Path, passed: str, code: int, said: str
) -> None:
    name, value = passed.split("=")
    settings = {"bootstrap_servers": "127.0.0.1:1", "kafka": {name: value}}
    with WorkerProcess(settings, tmp_path, command=COMMAND, warm=False) as worker:
        assert worker.wait() == code
        log = worker.log.read_text()
    assert said in log
    assert "Traceback" not in log
