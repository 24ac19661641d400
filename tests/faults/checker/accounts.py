"""What workers say of themselves: their metrics, their exit codes, their logs."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from functools import partial

from tests.integration.rigs.worker_process import WorkerProcess

#: Metrics that together tell what became of every consumed message.
_RESOLVED = (
    "articles_published",
    "tombstones_published",
    "messages_rejected",
    "messages_released",
)

#: Metrics that tell a worker that waits for Kafka from one that waits for itself.
_STANDING = (
    "nerstream_paused",
    "nerstream_in_flight_messages",
    "nerstream_messages_consumed_total",
    "nerstream_assigned_partitions",
    "nerstream_partition_lag_messages",
)

#: Has a worker of these tests write where its threads are.
STACKS_SIGNAL = signal.SIGUSR1

#: Seconds that this takes at most, and lines of a log that are shown: a dozen, and the threads.
_STACKS_S, _LINES = 0.5, 100


def unaccounted(workers: Sequence[WorkerProcess]) -> list[str]:
    """Violations of consumed = published + rejected + released + in flight, in each worker."""
    problems = []
    for worker in workers:
        deadline = time.monotonic() + 60
        # A last transaction may be in its end while its outcomes are readable already.
        while (left := _unresolved(worker)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left:
            problems.append(f"metrics: {left:g} messages unaccounted for by {worker.log.name}")
    return problems


#: What a worker says that ends itself because its client cannot be mended.
RESTARTED = "start the worker again"


def drained(workers: Sequence[WorkerProcess], supervised: bool = False) -> list[str]:
    """SIGTERM them all; those that did not end with 0. Where they are supervised, one may just have
    ended itself to be started again."""
    for worker in workers:
        # Before it begins, a signal may find Python still importing, and end it as it does.
        worker.wait_until(partial(_has_begun, worker), "its begin")
        worker.process.send_signal(signal.SIGTERM)
    codes = {
        worker.log.name: worker.wait()
        for worker in workers
        if not (supervised and worker.wait() == 1 and RESTARTED in worker.log.read_text())
    }
    return [f"exit code: {name} ended with {code}" for name, code in codes.items() if code]


def _has_begun(worker: WorkerProcess) -> bool:
    return worker.has_said("starting") or worker.process.poll() is not None


def logs(workers: Sequence[WorkerProcess]) -> str:
    """What each worker's metrics say of where it stands, and the last lines of its log; where its
    threads are is written to the log as well."""
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.send_signal(STACKS_SIGNAL)
    time.sleep(_STACKS_S)
    return "\n".join(
        f"--- {worker.log.name} ({worker.process.poll()})\n{_standing(worker)}\n"
        + "\n".join(worker.log.read_text("utf-8", "replace").splitlines()[-_LINES:])
        for worker in workers
    )


def _standing(worker: WorkerProcess) -> str:
    """A worker that lives and does nothing is told by these."""
    _, body = worker.get("/metrics")
    return ", ".join(line for line in body.splitlines() if line.startswith(_STANDING))


def _unresolved(worker: WorkerProcess) -> float:
    """Consumed messages that the metrics tell no end of; 0 for a worker that has ended."""
    status, body = worker.get("/metrics")
    if status != 200:
        return 0.0
    totals = dict.fromkeys(("messages_consumed", *_RESOLVED), 0.0)
    for line in body.splitlines():
        name = line.partition(" ")[0].partition("{")[0]
        name = name.removeprefix("nerstream_").removesuffix("_total")
        if name in totals:
            totals[name] += float(line.rsplit(" ", 1)[1])
    return totals["messages_consumed"] - sum(totals[name] for name in _RESOLVED)
