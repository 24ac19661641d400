"""Every row of the fault matrix, in the order of the table."""

from __future__ import annotations

import time
from dataclasses import replace

from tests.faults.brokers.proxy import Api
from tests.faults.matrix.scene import Scene
from tests.faults.rows import (
    bounded_runs,
    brokers,
    groups,
    network,
    one_worker,
    replays,
    several_workers,
)
from tests.faults.rows.row import Row


def everything(scene: Scene) -> None:
    """Faults of all kinds, one after the other and two at a time, in an order drawn by a seed."""
    draw, proxy = scene.draw, scene.broker.proxy
    workers = scene.start(3)

    def kill() -> None:
        scene.kill(workers.pop(0))
        workers.append(scene.start_worker(ready=False))

    def drain() -> None:
        leaving = workers.pop(0)
        scene.fault()
        leaving.process.terminate()
        workers.append(scene.start_worker(ready=False))

    def cut() -> None:
        scene.fault()
        proxy.cut()

    def hold() -> None:
        kinds = (Api.END_TXN, Api.PRODUCE, Api.TXN_OFFSET_COMMIT, Api.OFFSET_COMMIT, Api.HEARTBEAT)
        proxy.held_answers = frozenset({draw.choice(kinds)})
        time.sleep(1)
        scene.fault()
        proxy.heal()

    def slow() -> None:
        scene.fault()
        proxy.delay_s = 0.1
        time.sleep(1.5)
        proxy.delay_s = 0.0

    def join() -> None:
        workers.append(scene.start_worker(ready=False))

    def registry_hangs() -> None:
        registry = scene.registry
        assert registry is not None
        scene.fault()
        registry.hang()
        time.sleep(1.5)
        registry.go_on()

    kinds = [kill, kill, drain, cut, cut, hold, hold, hold, slow, join]
    if scene.registry is not None:
        kinds += [registry_hangs, registry_hangs]
    for _ in range(2):
        draw.shuffle(kinds)
        for first, second in zip(kinds[::2], kinds[1::2], strict=True):
            first()
            time.sleep(draw.uniform(0.0, 0.5))
            second()
            scene.wait_recovered()


def _with_two_models(row: Row) -> Row:
    return replace(
        row,
        name=f"{row.name}_two_models",
        title=f"{row.title}; two models",
        two_models=True,
    )


_EVERYTHING = Row("everything", "all", "all kinds at once", everything, proxied=True)

_PLAIN = (*one_worker.ROWS, *groups.ROWS)

#: Of those that tell most of the pipeline, the same with two models.
_OF_TWO_MODELS = [
    _with_two_models(row)
    for row in (*_PLAIN, _EVERYTHING)
    if row.name in ("nothing", "killed", "churned", "everything")
]

#: The same in Avro, and in `everything` the schema registry hangs as well.
_IN_AVRO = [
    replace(
        row,
        name=f"{row.name}_in_avro",
        title=f"{row.title}; in Avro",
        in_avro=True,
    )
    for row in (*_PLAIN, _EVERYTHING)
    if row.name in ("nothing", "killed", "churned", "everything")
]

ROWS = (
    *one_worker.ROWS,
    *several_workers.ROWS,
    *groups.ROWS,
    *brokers.ROWS,
    *network.ROWS,
    *bounded_runs.ROWS,
    *replays.ROWS,
    _EVERYTHING,
    *_OF_TWO_MODELS,
    *_IN_AVRO,
)

BY_NAME = {row.name: row for row in ROWS}
