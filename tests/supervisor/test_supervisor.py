"""`nerstream run --workers`, as processes on the embedded broker, with a tagger without torch."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.kafka.tools.embedded import EmbeddedBroker
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess
from tests.support.processes.freeze import freeze

LIGHT_WORKERS = ("-m", "tests.faults.workers.light_workers")
PARTITIONS = 4


@pytest.fixture
def broker() -> Iterator[str]:
    with EmbeddedBroker() as embedded:
        embedded.create_topics("articles", "articles-tagged", "articles-dead-letters")
        yield embedded.bootstrap_servers


def supervised(broker: str, folder: Path, workers: int = 2, **settings: Any) -> WorkerProcess:
    # A group of the consumer protocol forms at once there.
    given = {
        "bootstrap_servers": broker,
        "delivery": "at_least_once",
        "group_protocol": "consumer",
        "workers": workers,
        **settings,
    }
    return WorkerProcess(given, folder, command=LIGHT_WORKERS)


def workers_of(process: WorkerProcess) -> dict[int, int]:
    """Process ids by number of the worker, as the page has them."""
    body = process.get("/workers")[1]
    found = re.findall(r"<td>(\d+)</td><td>(\d+)</td><td>working</td>", body)
    return {int(number): int(pid) for number, pid in found}


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def feed(broker: str, first: int, count: int) -> None:
    records = [
        Record(json.dumps({"id": str(n), "body": "Ada Marsh"}).encode(), partition=n % PARTITIONS)
        for n in range(first, first + count)
    ]
    helpers.produce(broker, "articles", records)


def test_workers_share_the_input_and_one_that_is_killed_is_started_again(
    broker: str, tmp_path: Path
) -> None:
    with supervised(broker, tmp_path, admin_show_text="on") as process:
        process.wait_ready()
        process.wait_until(lambda: len(workers_of(process)) == 2)
        before = workers_of(process)
        assert '<a href="workers">/workers</a>' in process.get("/")[1]
        feed(broker, 0, 40)
        published = "nerstream_articles_published_total"
        process.wait_until(lambda: process.metric(published) == 40)
        body = process.get("/metrics")[1]
        assert 'nerstream_workers{state="working"} 2.0' in body
        for number in before:
            assert f'{published}{{worker="{number}"}}' in body
        assert process.get("/healthz")[0] == 200

        os.kill(before[2], signal.SIGKILL)
        process.wait_until(lambda: process.metric("nerstream_worker_restarts_total") == 1)
        process.wait_until(lambda: workers_of(process).keys() == {1, 2})
        after = workers_of(process)
        assert after[1] == before[1]
        assert after[2] != before[2]
        feed(broker, 40, 40)
        # What the killed one had counted went with it.
        process.wait_until(lambda: process.metric(published) >= 40)
        assert process.terminate() == 0, process.log.read_text()
    events = process.events()
    (said,) = [one for one in events if one["event"].startswith("admin_show_text=on shows no text")]
    assert said["level"] == "warning"
    ended = [one for one in events if one["event"] == "worker ended"]
    assert {(one["worker"], one["exit_code"]) for one in ended} == {(1, 0), (2, 0)}
    numbered = {one["worker"] for one in events if one["event"] == "producer ready"}
    assert numbered == {1, 2}
    assert not [pid for pid in (*before.values(), *after.values()) if runs(pid)]


def test_workers_share_a_model_that_one_process_has_loaded(broker: str, tmp_path: Path) -> None:
    """With torch: what computed before the fork computes after it."""
    from tests.support.models.tiny_models import save_tiny_model

    settings = {
        "bootstrap_servers": broker,
        "delivery": "at_least_once",
        "group_protocol": "consumer",
        "workers": 2,
        "device": "cpu",
        "model": str(save_tiny_model(tmp_path / "model")),
    }
    with WorkerProcess(settings, tmp_path, warm=False) as process:
        process.wait_ready()
        process.wait_until(lambda: len(workers_of(process)) == 2)
        feed(broker, 0, 40)
        published = "nerstream_articles_published_total"
        process.wait_until(lambda: process.metric(published) == 40)
        assert process.metric("nerstream_batch_tokens_count") > 0
        os.kill(workers_of(process)[1], signal.SIGKILL)
        process.wait_until(lambda: process.metric("nerstream_worker_restarts_total") == 1)
        process.wait_until(lambda: workers_of(process).keys() == {1, 2})
        before = process.metric(published)
        feed(broker, 40, 40)
        process.wait_until(lambda: process.metric(published) >= before + 40)
        assert process.terminate() == 0, process.log.read_text()
    events = process.events()
    (loaded,) = [one for one in events if one["event"] == "model loaded" and "shared" in one]
    assert loaded["shared"] is True


def test_workers_do_not_go_on_without_their_supervisor(broker: str, tmp_path: Path) -> None:
    with supervised(broker, tmp_path) as process:
        process.wait_ready()
        process.wait_until(lambda: len(workers_of(process)) == 2)
        pids = workers_of(process).values()
        template = [one for one in children(process.process.pid) if one not in pids]
        process.kill()
        process.wait_until(lambda: not any(map(runs, (*pids, *template))))
    told = [one["event"] for one in process.events() if one["level"] == "warning"]
    assert told.count("the supervisor is gone; this worker drains and ends") == 2
    drained = [one for one in process.events() if one["event"] == "drained, left the group"]
    assert len(drained) == 2


def test_a_template_that_is_killed_is_made_anew_when_it_is_needed(
    broker: str, tmp_path: Path
) -> None:
    with supervised(broker, tmp_path) as process:
        process.wait_ready()
        process.wait_until(lambda: len(workers_of(process)) == 2)
        before = workers_of(process)
        (template,) = [one for one in children(process.process.pid) if one not in before.values()]
        os.kill(template, signal.SIGKILL)
        process.wait_until(lambda: not runs(template))
        assert process.get("/readyz")[0] == 200
        os.kill(before[1], signal.SIGKILL)
        process.wait_until(lambda: workers_of(process).get(1) not in (None, before[1]))
        assert workers_of(process)[2] == before[2]
        assert process.terminate() == 0, process.log.read_text()


def test_a_second_signal_forces_all(broker: str, tmp_path: Path) -> None:
    with supervised(broker, tmp_path) as process:
        process.wait_ready()
        process.wait_until(lambda: len(workers_of(process)) == 2)
        pids = workers_of(process)
        # One of them cannot drain.
        freeze(pids[1])
        process.process.send_signal(signal.SIGTERM)
        process.wait_until(lambda: process.get("/readyz")[0] == 503)
        assert "the workers are stopping" in process.get("/readyz")[1]
        process.process.send_signal(signal.SIGINT)
        assert process.wait() == 1, process.log.read_text()
    assert "not all workers have drained" in process.log.read_text()
    assert not any(map(runs, pids.values()))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": "none"}, '"none" is no number of workers; it must be a whole number from 1'),
        ({"workers": "0"}, '"0" is no number of workers'),
        ({"batch_tokens": "many"}, "--batch-tokens"),
        ({"kafka": {"no.such.property": "1"}}, "no.such.property"),
    ],
)
def test_a_wrong_setting_is_told_once(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with supervised("127.0.0.1:1", tmp_path, **{"workers": 3, **settings}) as process:
        assert process.wait() == 2
    log = process.log.read_text()
    assert log.count("nerstream: error:") == 1
    assert said in log


def children(pid: int) -> list[int]:
    """Process ids of the children that run."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in text.split() if runs(int(one))]
