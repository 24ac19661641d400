"""The commands of the page on disasters, given one after the other on a topic that has them.

`nerstream run` has the light tagger here; everything else is what the page names.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess
from tests.support.monitoring.files import ROOT
from tests.support.monitoring.pages import Command, Place, commands
from tests.support.monitoring.programs import tools_or_skip

pytestmark = pytest.mark.kafka

PAGE = (ROOT / "docs/operations/disaster.md").read_text("utf-8")
LIGHT_WORKER = ("-m", "tests.faults.workers.light_worker")

#: Noon of the day that is tagged again. The page's days are to come on a machine whose clock is
#: behind; these are over everywhere.
NOON_MS = 1_732_795_200_000
DAYS = {"2026-11-28": "2024-11-28", "2026-11-29": "2024-11-29"}


class Ground:
    """A topic of one partition, with settings of workers for it."""

    def __init__(self, kafka: str, topics: TopicFactory, group: str, folder: Path) -> None:
        self.kafka, self.group, self.folder = kafka, group, folder
        self.articles, self.tagged, self.dead, self.again = (
            topics(name) for name in ("articles", "tagged", "dead", "again")
        )
        self.settings: dict[str, Any] = {
            "bootstrap_servers": kafka,
            "input_topics": self.articles,
            "output_topic": self.tagged,
            "dead_letter_topic": self.dead,
            "group_id": group,
        }
        (folder / "worker.toml").write_text(
            "".join(f"{name} = {json.dumps(value)}\n" for name, value in self.settings.items())
        )
        self.place = Place(
            folder,
            {
                "localhost:9092": kafka,
                "articles": self.articles,
                "articles:0": f"{self.articles}:0",
                "articles-tagged": self.tagged,
                "articles-dead-letters": self.dead,
                "articles-again": self.again,
                "--group nerstream": f"--group {group}",
                **DAYS,
            },
        )

    def put(self, count: int, first: int = 0) -> None:
        """So many articles of that day."""
        values = [
            json.dumps({"id": str(n), "title": "Ada Marsh"}) for n in range(first, first + count)
        ]
        self.write([value.encode() for value in values])

    def write(self, values: list[bytes]) -> None:
        helpers.produce(
            self.kafka, self.articles, [Record(value, timestamp_ms=NOON_MS) for value in values]
        )

    def work(self, until: int, **settings: Any) -> None:
        """A worker, until the group is at this offset."""
        whole = {**self.settings, **settings}
        with WorkerProcess(whole, self.folder, command=LIGHT_WORKER) as worker:
            worker.wait_ready()
            while helpers.committed_offsets(self.kafka, self.group, self.articles).get(0) != until:
                assert worker.process.poll() is None, worker.log.read_text()
                time.sleep(0.2)
            assert worker.terminate() == 0

    def forget_group(self) -> None:
        """As Kafka does with the offsets of a group that was idle for a week."""
        helpers.admin(self.kafka).delete_consumer_groups([self.group])[self.group].result(60)

    def give(self, command: Command) -> None:
        problem = self.place.run(command)
        assert not problem, problem


@pytest.fixture
def ground(kafka: str, topics: TopicFactory, group: str, tmp_path: Path) -> Ground:
    tools_or_skip()
    return Ground(kafka, topics, group, tmp_path)


def section(title: str) -> list[Command]:
    found = list(commands(PAGE, title))
    assert found
    return found


def test_lost_offsets(ground: Ground) -> None:
    gone, asked, put_back, proven = section("Lost offsets")
    ground.put(30)
    ground.work(until=30)
    ground.forget_group()
    ground.put(12, first=30)
    for command in (gone, asked, put_back):
        ground.give(command)
    ground.work(until=42)
    ground.give(proven)


def test_a_day_again(ground: Ground) -> None:
    again, proven = section("A day again")
    ground.put(30)
    ground.work(until=30)
    # What came after that day is not of it.
    helpers.produce(
        ground.kafka,
        ground.articles,
        [Record(b'{"id": "later", "title": "x"}', timestamp_ms=NOON_MS + 86_400_000)],
    )
    ground.give(again)
    assert len(helpers.read_settled(ground.kafka, ground.again)) == 30
    ground.give(proven)
    # The same command again has nothing to do.
    ground.give(Command(again.line))
    assert len(helpers.read_settled(ground.kafka, ground.again)) == 30


def test_a_poisoned_topic(ground: Ground) -> None:
    listed, replayed, stands, kept, looked_at, stepped_over, proven = section("A poisoned topic")
    ground.put(40)
    ground.write([b"not JSON"] * 20)
    ground.put(2, first=60)
    ground.work(until=62, dead_letter_max_ratio=1)
    ground.give(listed)
    ground.give(replayed)
    ground.put(3, first=62)
    for command in (stands, kept, looked_at):
        ground.give(command)
    assert json.loads((ground.folder / "poison.json").read_text())["id"] == "62"
    ground.give(stepped_over)
    ground.work(until=65)
    ground.give(proven)
