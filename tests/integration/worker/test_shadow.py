"""A second model on Apache Kafka: it touches nothing, and its end is not that of the worker."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import EndedEarly, WorkerProcess

pytestmark = pytest.mark.kafka

LIGHT_WORKER = ("-m", "tests.faults.workers.light_worker")
COUNT = 40


def article(number: int) -> Record:
    value = json.dumps({"id": str(number), "title": f"Ada in Oslo {number}"}).encode()
    return Record(value, b"k", (), 1_700_000_000_000 + number, 0)


def children(pid: int, name: str) -> list[int]:
    """The processes that this one has started, by a word of their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            command = folder.joinpath("cmdline").read_text()
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        if parent == pid and name in command:
            found.append(int(folder.name))
    return found


def test_it_compares_and_its_end_is_not_that_of_the_worker(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, tiny_model: Path
) -> None:
    source, output = topics("in", 1), topics("out", 1)
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": source,
        "output_topic": output,
        "dead_letter_topic": topics("dead", 1),
        "group_id": group,
        "shadow_model": str(tiny_model),
        "shadow_share": 1,
        "device": "cpu",
    }
    with WorkerProcess(settings, tmp_path, command=LIGHT_WORKER) as worker:
        worker.wait_ready()
        assert worker.metric("nerstream_shadow_running") == 1
        sent = 0

        def compared() -> bool:
            # One at a time, so that the worker is idle between them.
            nonlocal sent
            helpers.produce(kafka, source, [article(sent)])
            sent += 1
            worker.wait_until(lambda: worker.metric("nerstream_articles_published_total") == sent)
            return bool(worker.get("/metrics")[1].count('fate="compared"} 0.0') == 0)

        worker.wait_until(compared)
        (pid,) = children(worker.process.pid, "nerstream-shadow")
        os.kill(pid, signal.SIGKILL)

        def failed() -> bool:
            compared()
            return worker.metric("nerstream_shadow_running") == 0

        worker.wait_until(failed)
        assert worker.get("/healthz")[0] == 200
        helpers.produce(kafka, source, [article(n) for n in range(sent, sent + COUNT)])
        sent += COUNT
        worker.wait_until(lambda: worker.metric("nerstream_articles_published_total") == sent)
        assert worker.terminate() == 0, worker.log.read_text()
    lines = [one for one in worker.events() if "shadow model has failed" in one["event"]]
    assert [line["level"] for line in lines] == ["error"]
    assert "ended by signal 9" in lines[0]["error"]
    # What the serving model says is all that is published.
    outputs = [json.loads(one.value or b"") for one in helpers.read_all(kafka, output)]
    assert len(outputs) == sent
    assert {one["tagging"]["model"] for one in outputs} == {"light"}


def test_a_model_that_cannot_be_loaded_ends_the_start(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": topics("in", 1),
        "output_topic": topics("out", 1),
        "dead_letter_topic": topics("dead", 1),
        "group_id": group,
        "shadow_model": str(tmp_path / "nothing"),
    }
    with (
        WorkerProcess(settings, tmp_path, command=LIGHT_WORKER) as worker,
        pytest.raises(EndedEarly, match=r"shadow_model: .*nothing cannot be loaded"),
    ):
        worker.wait_ready()
    assert worker.process.returncode == 2
