"""A worker as a process that drains a backlog: how fast, and with how much processor time."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from consumer.bench.worker.load import Load
from consumer.kafka.tools.topics import temporary_topics
from consumer.settings.schema import Settings
from tests.integration.rigs.worker_process import WorkerProcess

PARTITIONS = 4

#: How often the worker is looked at, in seconds.
_LOOK_S = 0.02


class Drained(NamedTuple):
    """What came after the first tenth of a backlog.

    Attributes:
        rate: articles a second.
        cpu_us: microseconds of the worker's processor time for each.
    """

    rate: float
    cpu_us: float


class Site(NamedTuple):
    """Topics of a run.

    Attributes:
        flags: that a worker needs to find them.
        settings: the same.
    """

    flags: Mapping[str, Any]
    settings: Settings


@contextmanager
def site(bootstrap: str) -> Iterator[Site]:
    """Topics that live as long as a run."""
    mark = uuid.uuid4().hex[:8]
    topics = {
        "input_topics": f"bench-in-{mark}",
        "output_topic": f"bench-out-{mark}",
        "dead_letter_topic": f"bench-dead-{mark}",
    }
    flags = {"bootstrap_servers": bootstrap, "group_id": f"bench-{mark}", **topics}
    settings = Settings.model_validate(flags)
    with temporary_topics(settings, list(topics.values()), PARTITIONS):
        yield Site(flags, settings)


@contextmanager
def worker(here: Site, flags: Mapping[str, Any], command: Sequence[str]) -> Iterator[WorkerProcess]:
    """A worker that is ready."""
    with tempfile.TemporaryDirectory() as folder:
        told = {**here.flags, **flags}
        with WorkerProcess(told, Path(folder), command=command, warm=False) as made:
            yield made.wait_ready()


def drained(
    bootstrap: str,
    values: Sequence[bytes],
    count: int,
    flags: Mapping[str, Any],
    command: Sequence[str],
    look: Callable[[WorkerProcess], object] = lambda _: None,
) -> Drained:
    """What a worker makes of so many articles that wait for it.

    Args:
        flags: of the worker, beside those of its topics.
        command: what the interpreter runs.
        look: called with the worker when it has drained.
    """
    with site(bootstrap) as here:
        Load(here.settings, values).fill(count)
        with worker(here, flags, command) as made:
            began_at, began, cpu_s = 0.0, 0.0, 0.0
            while (done := published(made)) < count:
                if not began and done >= count / 10:
                    began_at, began, cpu_s = time.perf_counter(), done, cpu_s_of(made)
                time.sleep(_LOOK_S)
            ended, spent_s = time.perf_counter(), cpu_s_of(made) - cpu_s
            look(made)
            articles = done - began
            return Drained(articles / (ended - began_at), spent_s * 1e6 / articles)


def published(made: WorkerProcess) -> float:
    """Articles whose outcome is final."""
    return made.metric("nerstream_articles_published_total")


def cpu_s_of(made: WorkerProcess) -> float:
    """Processor time that the worker's own process has used."""
    stat = Path("/proc", str(made.process.pid), "stat").read_text()
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def by_label(made: WorkerProcess, name: str) -> dict[str, float]:
    """The values of a metric by its only label."""
    _, body = made.get("/metrics")
    return {
        line.partition('"')[2].partition('"')[0]: float(line.rpartition(" ")[2])
        for line in body.splitlines()
        if line.startswith(f"{name}{{")
    }
