"""The commands of the pages on operations, run as they stand there by a shell."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tables import operations as operations_tables
from consumer.kafka.client_check import check_clients
from consumer.settings.sources import load_settings
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.worker_process import PATIENCE_S, WorkerProcess
from tests.integration.servers.kafka_server import free_ports

ROOT = Path(__file__).parents[2]
PAGES = operations_tables.PAGES
DEPLOY_GUIDE = ROOT / "docs/guides/deploy.md"

PARTITIONS = 6

#: In the place of the command: all of it, but for a worker that needs no torch.
_NERSTREAM = """#!/bin/sh
case "$1" in
    run) shift; exec {python} -m tests.faults.workers.light_worker "$@" ;;
    *) exec {python} -m consumer "$@" ;;
esac
"""


_WAIT = 'while kill -0 "$(cat worker-{}.pid)" 2>/dev/null; do sleep 0.2; done'


def commands(page: str) -> list[str]:
    """What a person types, in order."""
    text = (PAGES / page).read_text("utf-8")
    blocks = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    return re.findall(r"^\$ (.*)$", blocks, re.MULTILINE)


def needs_model(command: str) -> bool:
    return " doctor " in command and "--no-model" not in command


class News(threading.Thread):
    """Articles of this moment, evenly, until `finish`."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._producer = helpers.producer(bootstrap, enable_idempotence=True)
        self._topic = topic
        self._stop_asked = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._stop_asked.wait(0.02):
            value = b'{"id":"%d","title":"Rain in Oslo"}' % number
            now_ms = round(time.time() * 1000)
            record = helpers.Record(value, partition=number % PARTITIONS, timestamp_ms=now_ms)
            helpers.put(self._producer, self._topic, [record])
            self._producer.poll(0)
            number += 1

    def finish(self) -> None:
        self._stop_asked.set()
        self.join(PATIENCE_S)
        assert self._producer.flush(PATIENCE_S) == 0


class Shell:
    """A folder in which the commands of a page run, with a worker's settings in it.

    Args:
        ports: in the place of 9464 and 9465.
    """

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self._ports = dict(zip(("9464", "9465"), map(str, free_ports(2)), strict=True))
        program = folder / ".venv/bin/nerstream"
        program.parent.mkdir(parents=True)
        program.write_text(_NERSTREAM.format(python=sys.executable))
        program.chmod(0o755)
        lines = [f'{name} = "{value}"\n' for name, value in settings.items()]
        (folder / "worker.toml").write_text(
            "".join([*lines, f"admin_port = {self._ports['9464']}\n"])
        )

    def run(self, typed: list[str]) -> str:
        """What the commands print; they must all succeed."""
        script = "\n".join(typed)
        for port, ours in self._ports.items():
            script = script.replace(port, ours)
        # A file, since a pipe would stay open as long as a worker that the script leaves behind.
        with (self.folder / "out").open("wb") as out:
            done = subprocess.run(
                ["bash", "-eu", "-c", script],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE_S,
                check=False,
            )
        told = (self.folder / "out").read_text()
        logs = [one.read_text() for one in self.folder.glob("*.log")]
        assert done.returncode == 0, "\n".join([told, *logs])
        return told

    def pid(self, name: str) -> int:
        return int((self.folder / f"worker-{name}.pid").read_text())


@contextmanager
def shell(folder: Path, kafka: str, topics: TopicFactory, group: str) -> Iterator[Shell]:
    """With a worker `other` and articles that come in evenly; what runs in the end is killed."""
    made = {
        "bootstrap_servers": kafka,
        "input_topics": topics("articles", PARTITIONS),
        "output_topic": topics("tagged", PARTITIONS),
        "dead_letter_topic": topics("dead", PARTITIONS),
        "group_id": group,
    }
    one = Shell(folder, made)
    news = News(kafka, made["input_topics"])
    command = ("-m", "tests.faults.workers.light_worker")
    with WorkerProcess({**made, "instance": "other"}, folder, command=command) as other:
        other.wait_ready()
        news.start()
        try:
            yield one
        finally:
            news.finish()
            for path in folder.glob("worker-*.pid"):
                # Of this test's own; one that has ended is gone.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(path.read_text()), signal.SIGKILL)


def test_an_upgrade_leaves_no_gap(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    typed = commands("upgrade.md")
    starts = [line for line in typed if "nohup" in line or line.startswith(("echo $!", "until"))]
    assert len(starts) == 3
    with shell(tmp_path, kafka, topics, group) as at:
        at.run(starts)
        before = at.pid("one")
        told = at.run(typed)
        assert at.pid("one") != before
        assert "every input has exactly one outcome" in told
    assert len(typed) == 8


def test_a_worker_comes_and_goes(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    typed = [line for line in commands("scaling.md") if not needs_model(line)]
    assert len(typed) == 5
    with shell(tmp_path, kafka, topics, group) as at:
        told = at.run([*typed, _WAIT.format("two")])
        (assigned,) = re.findall(r"^nerstream_assigned_partitions (\d+)", told, re.MULTILINE)
        assert int(assigned) == PARTITIONS // 2
        assert "drained, left the group" in (tmp_path / "worker-two.log").read_text()


def test_what_needs_a_model_is_run_by_the_test_of_the_guide() -> None:
    guide = DEPLOY_GUIDE.read_text("utf-8")
    found = [
        line
        for page in PAGES.glob("*.md")
        for line in commands(page.name)
        if "nerstream" in line and needs_model(line)
    ]
    assert len(found) >= 2
    for line in found:
        assert f"$ {line}\n" in guide or line.removesuffix(" --planned-workers 2") in guide, line


def test_the_settings_on_the_pages_are_right(tmp_path: Path) -> None:
    found = [
        block
        for page in PAGES.glob("*.md")
        for block in re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]
    assert len(found) >= 3
    for block in found:
        (tmp_path / "worker.toml").write_text(block, encoding="utf-8")
        settings = load_settings(Namespace(), {}, tmp_path / "worker.toml")
        assert settings.instance == "news-0"
        check_clients(settings)


def test_the_tables_are_what_the_recorded_runs_say() -> None:
    for page in PAGES.glob("*.md"):
        text = page.read_text("utf-8")
        assert operations_tables.filled(text) == text, page.name
    for name in ("cost", "handover"):
        assert any(f"<!-- begin {name} -->" in page.read_text() for page in PAGES.glob("*.md"))
