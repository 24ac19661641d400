"""A topic that is deleted and made again under a worker, and what a reader then sees."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import TopicCollection, TopicPartition

from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess

#: The command with a tagger that needs no torch.
COMMAND = ("-m", "tests.faults.workers.light_worker")

#: Longest wait for outcomes; a reading that has stopped is found out by it.
OUTCOMES_S = 240.0


@dataclass(frozen=True)
class Remade:
    """Topics of one test, its group and its broker, and how often the input was made."""

    bootstrap: str
    input: str
    output: str
    dead_letters: str
    group: str

    @contextmanager
    def worker(self, folder: Path, **more: Any) -> Iterator[WorkerProcess]:
        """A worker that is ready."""
        with self.process(folder, **more) as worker:
            yield worker.wait_ready()

    def process(self, folder: Path, **more: Any) -> WorkerProcess:
        """A worker that is not started yet."""
        settings = {
            "bootstrap_servers": self.bootstrap,
            "input_topics": self.input,
            "output_topic": self.output,
            "dead_letter_topic": self.dead_letters,
            "group_id": self.group,
            "commit_interval_ms": 20,
            **more,
        }
        return WorkerProcess(settings, folder, command=COMMAND)

    def feed(self, ids: Sequence[int], partitions: int = 1) -> None:
        """Articles of these ids, in order, over the partitions in turn."""
        records = [
            Record(
                json.dumps({"id": str(n), "body": f"Ada {n}"}).encode(), partition=n % partitions
            )
            for n in ids
        ]
        helpers.produce(self.bootstrap, self.input, records)

    def make_again(self, partitions: int = 1) -> None:
        """Delete the input topic and make another one of its name."""
        helpers.remove_topics(self.bootstrap, [self.input])
        self.make(partitions)

    def make(self, partitions: int = 1) -> None:
        """Make the input topic, once the name is free."""
        helpers.create_topic(self.bootstrap, self.input, partitions)

    def ids(self) -> list[int]:
        """Ids of the enriched articles that a `read_committed` reader sees, in order."""
        records = helpers.read_all(self.bootstrap, self.output)
        return [int(json.loads(one.value or b"")["id"]) for one in records]

    def wait_for(self, ids: Sequence[int]) -> list[int]:
        """The ids that are there once these are among them."""
        deadline = time.monotonic() + OUTCOMES_S
        while not set(ids) <= set(seen := self.ids()):
            assert time.monotonic() < deadline, f"never came: {sorted(set(ids) - set(seen))}"
            time.sleep(0.2)
        return seen

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Until it does."""
        deadline = time.monotonic() + OUTCOMES_S
        while not holds():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.1)

    def topic_id(self) -> str:
        """Id of the input topic that is there now."""
        asked = TopicCollection([self.input])
        found = helpers.admin(self.bootstrap).describe_topics(asked)[self.input].result()
        return str(found.topic_id)

    def stamped_offset(self) -> TopicPartition:
        """The committed offset of partition 0 with what is written beside it."""
        reader = helpers.group_reader(self.bootstrap, self.group)
        try:
            (found,) = reader.committed([TopicPartition(self.input, 0)], helpers.CALL_TIMEOUT_S)
        finally:
            reader.close()
        return found

    def commit(self, offset: TopicPartition) -> None:
        """Write a committed offset of the group, which has no members now."""
        reader = helpers.group_reader(self.bootstrap, self.group)
        try:
            reader.commit(offsets=[offset], asynchronous=False)
        finally:
            reader.close()

    def committed(self) -> Mapping[int, int]:
        """The group's offsets in the input topic."""
        return helpers.committed_offsets(self.bootstrap, self.group, self.input)


def said(worker: WorkerProcess, *words: str) -> list[str]:
    """Log lines with all of these words."""
    lines = [json.dumps(event) for event in worker.events()]
    return [line for line in lines if all(word in line for word in words)]
