"""Faults of a bounded run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.faults.matrix.scene import Scene
from tests.faults.rows.row import Row
from tests.integration.rigs.worker_process import WorkerProcess

#: Messages that are there when the run begins; new ones come all the while.
_READY = 2_000

#: A run of so many transactions that it can be killed in the midst of them.
_SLOW: Mapping[str, Any] = {"in_flight_articles": 10, "batch_articles": 5, "commit_interval_ms": 0}

#: Outcomes that are new between two kills.
_PROGRESS = 100


def killed(scene: Scene, times: int = 4) -> None:
    """A run from the earliest message to the end is killed, again and again, and goes on; what
    comes meanwhile does not move its end. In the end workers of its group take what is left."""
    scene.watcher.start()
    scene.feeder.start()
    scene.wait_for(lambda: len(scene.feeder.positions) >= _READY, "messages to begin with")
    run = _begin(scene)
    run.wait_ready()
    # Its end stands by now; what was in an open transaction then is a part of it.
    ends = scene.ends("read_uncommitted")
    for _ in range(times):
        _wait_progress(scene)
        scene.await_moment()
        assert run.process.poll() is None, f"ended too early to be killed\n{run.log.read_text()}"
        scene.kill(run)
        run = _begin(scene)
        _wait_progress(scene)
        scene.note_recovery()
    assert scene.wait_dead(run) == 0, run.log.read_text()
    committed = scene.committed()
    beyond = {one: offset for one, offset in committed.items() if offset > ends[one]}
    assert not beyond, f"the run went on to {beyond}, beyond its end, {ends}"
    assert sum(committed.values()) > _READY, f"the run stopped at {committed}"
    for _ in range(2):
        scene.start_worker()


def _begin(scene: Scene) -> WorkerProcess:
    bounds = {"from": "earliest", "until": "end", "run_group": scene.group}
    return scene.start_worker(ready=False, group_id=f"{scene.group}-live", **bounds, **_SLOW)


def _wait_progress(scene: Scene) -> None:
    before = len(scene.watcher.numbers)
    scene.wait_for(lambda: len(scene.watcher.numbers) > before + _PROGRESS, "the run goes on")


ROWS = (Row("bounded", "bounded", "SIGKILL of a bounded run, then begun again", killed),)
