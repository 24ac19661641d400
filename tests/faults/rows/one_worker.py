"""Faults of a worker: killed, stopped, told to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.faults.matrix.scene import Scene
from tests.faults.rows.row import Row
from tests.faults.workers.faulty_worker import POINTS, TRANSACTIONAL
from tests.integration.rigs.worker_process import WorkerProcess

#: Beyond the session timeout, time between two polls and the transaction timeout.
_ASLEEP_S = 8.0

#: The passes of a point after which the worker dies there, so that it is in mid-run. The steps of
#: single messages come by often, those of a rebalance once.
_PASSES = {"decode": 400, "send": 400, "assigned": 1, "revoked": 1, "drain": 1, "leave": 1}
_USUAL_PASSES = 8

#: Steps that do not come by themselves.
_PROVOKED = frozenset({"revoked", "drain", "leave"})


def nothing(scene: Scene) -> None:
    """No fault: what the others are compared with."""
    scene.start(3)


def killed_at(points: Sequence[str] = POINTS) -> Callable[[Scene], None]:
    """Workers that kill themselves at these points, two at a time beside two that live."""

    def script(scene: Scene) -> None:
        scene.start(2)
        here = [one for one in points if scene.transactional or one not in TRANSACTIONAL]
        scene.draw.shuffle(here)
        for pair in _pairs(here):
            doomed = {point: _doomed(scene, point) for point in pair}
            crowd: list[WorkerProcess] = []
            for point, worker in doomed.items():
                crowd += _provoke(scene, worker, _step(point))
            for point, worker in doomed.items():
                code = scene.wait_dead(worker)
                assert code == -signal.SIGKILL, f"{point}: {code}\n{worker.log.read_text()}"
                scene.fault(kills=1)
            for worker in crowd:
                # Before it is, a signal may find Python still importing, and end it as it does.
                assert worker.wait_ready().terminate() == 0, worker.log.read_text()
            scene.wait_recovered()

    return script


def _pairs(points: Sequence[str]) -> Iterator[Sequence[str]]:
    """Two at a time, but those alone for which the group must be brought to do something."""
    usual = [point for point in points if _step(point) not in _PROVOKED]
    for at in range(0, len(usual), 2):
        yield usual[at : at + 2]
    for point in points:
        if point not in usual:
            yield [point]


def _step(point: str) -> str:
    return point.partition(".")[0]


def _doomed(scene: Scene, point: str) -> WorkerProcess:
    return scene.start_worker(f"{point}:{_passes(scene, point)}:kill", ready=False)


def _passes(scene: Scene, point: str) -> int:
    """The pass of a point at which the fault comes; the seed moves it."""
    usual = _PASSES.get(_step(point), _USUAL_PASSES)
    return usual if usual == 1 else round(usual * scene.draw.uniform(0.5, 1.5))


def _provoke(scene: Scene, doomed: WorkerProcess, step: str) -> list[WorkerProcess]:
    """Bring about what the step needs; the workers that came in for it."""
    if step in ("drain", "leave"):
        doomed.wait_ready()
        doomed.process.send_signal(signal.SIGTERM)
    if step == "revoked":
        doomed.wait_ready()
        scene.wait_for(
            lambda: doomed.metric("nerstream_assigned_partitions") >= 2, "partitions to give up"
        )
        # So many more that each of the first must give up a partition.
        return [scene.start_worker(ready=False) for _ in range(3)]
    return []


def killed(scene: Scene) -> None:
    """A worker is killed from outside, at any moment, and started again by its supervisor."""
    workers = scene.start(3)
    for _ in range(4):
        scene.kill(workers.pop(0))
        workers.append(scene.start_worker(ready=False))
        scene.wait_recovered()


def stopped_at(*points: str) -> Callable[[Scene], None]:
    """A worker is stopped for longer than every timeout, and wakes as a zombie."""

    def script(scene: Scene) -> None:
        scene.start(2)
        for point in points:
            fault = f"{point}:{_passes(scene, point)}:stop"
            zombie = scene.start_worker(fault, ready=False)
            scene.wait_for(partial(_is_stopped, zombie), f"the stop at {point}")
            scene.fault()
            asleep_until = time.monotonic() + _ASLEEP_S
            scene.wait_recovered()
            time.sleep(max(0.0, asleep_until - time.monotonic()))
            zombie.process.send_signal(signal.SIGCONT)
            scene.fault()
            scene.wait_recovered()

    return script


def _is_stopped(worker: WorkerProcess) -> bool:
    stat = Path(f"/proc/{worker.process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def terminated(scene: Scene) -> None:
    """SIGTERM in mid-batch: the worker drains and ends with 0, another takes its place."""
    workers = scene.start(2)
    for _ in range(4):
        leaving = workers.pop(0)
        scene.fault()
        assert leaving.terminate() == 0, leaving.log.read_text()
        workers.append(scene.start_worker())
        scene.wait_recovered()


def forced(scene: Scene) -> None:
    """A second signal while the worker drains: it ends at once, with 1 or already drained."""
    workers = scene.start(2)
    for _ in range(3):
        leaving = workers.pop(0)
        scene.fault()
        leaving.process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
        leaving.process.send_signal(signal.SIGINT)
        assert scene.wait_dead(leaving) in (0, 1), leaving.log.read_text()
        workers.append(scene.start_worker())
        scene.wait_recovered()


ROWS = (
    Row("nothing", "none", "no fault", nothing),
    Row("killed", "worker", "SIGKILL at any moment, then started again", killed),
    Row("killed_at_every_step", "worker", "SIGKILL at every step boundary", killed_at()),
    Row(
        "stopped",
        "worker",
        "SIGSTOP past session, poll and transaction timeouts, then SIGCONT (a zombie)",
        stopped_at("send.after", "end.before"),
    ),
    Row("terminated", "worker", "SIGTERM in mid-batch", terminated),
    Row("forced", "worker", "SIGTERM, and a second signal during the drain", forced),
)
