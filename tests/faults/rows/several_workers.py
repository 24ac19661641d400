"""Faults of several workers under one supervisor."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.faults.matrix.scene import Scene
from tests.faults.rows.row import Row
from tests.integration.rigs.worker_process import WorkerProcess

_COMMAND = ("-m", "tests.faults.workers.light_workers")

#: Of the one supervisor.
_WORKERS = 3


def one_of_several_killed(scene: Scene, times: int = 4) -> None:
    """A worker is killed, again and again; its supervisor starts it anew."""
    (supervisor,) = scene.start(1, command=_COMMAND, workers=_WORKERS)
    scene.wait_for(partial(_are_all_there, supervisor), "all workers")
    for _ in range(times):
        number = scene.draw.randint(1, _WORKERS)
        pid = _pids(supervisor)[number]
        scene.fault(kills=1)
        os.kill(pid, signal.SIGKILL)
        again = partial(_is_replaced, supervisor, number, pid)
        scene.wait_for(again, f"worker {number} is started again")
        scene.wait_recovered()


def supervisor_killed(scene: Scene, times: int = 3) -> None:
    """A supervisor is killed: its workers drain by themselves, and another one takes over."""
    (supervisor,) = scene.start(1, command=_COMMAND, workers=_WORKERS)
    for _ in range(times):
        scene.wait_for(partial(_are_all_there, supervisor), "all workers")
        pids = tuple(_pids(supervisor).values())
        scene.kill(supervisor)
        supervisor = scene.start_worker(ready=False, command=_COMMAND, workers=_WORKERS)
        scene.wait_recovered()
        scene.wait_for(partial(_have_ended, pids), "the end of its workers")


def _pids(supervisor: WorkerProcess) -> dict[int, int]:
    """Process ids of the workers, by number, as the page has them."""
    body = supervisor.get("/workers")[1]
    found = re.findall(r"<td>(\d+)</td><td>(\d+)</td><td>working</td>", body)
    return {int(number): int(pid) for number, pid in found}


def _are_all_there(supervisor: WorkerProcess) -> bool:
    return len(_pids(supervisor)) == _WORKERS


def _is_replaced(supervisor: WorkerProcess, number: int, pid: int) -> bool:
    return _pids(supervisor).get(number) not in (None, pid)


def _have_ended(pids: Iterable[int]) -> bool:
    return not any(map(_runs, pids))


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


ROWS = (
    Row(
        "one_of_several_killed",
        "worker",
        "SIGKILL of one of three workers under a supervisor, which starts it again",
        one_of_several_killed,
    ),
    Row(
        "supervisor_killed",
        "worker",
        "SIGKILL of a supervisor of three workers; they drain, another supervisor starts",
        supervisor_killed,
    ),
)
