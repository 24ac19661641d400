"""The checker is checked: a worker that is broken on purpose turns the matrix red."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.brokers.broker import Broker
from tests.faults.feeding import inputs
from tests.faults.matrix.scene import Scene
from tests.faults.rows.row import EXACTLY_ONCE, Row
from tests.faults.workers.sabotage import SABOTAGES
from tests.integration.rigs import helpers

pytestmark = pytest.mark.kafka


def _nothing(scene: Scene) -> None:
    scene.start(1)


def _killed(scene: Scene) -> None:
    """Right after a commit, while hundreds of later messages are on their way through."""
    scene.watcher.start()
    scene.feeder.start()
    scene.wait_for(lambda: scene.feeder.count > 1_000, "a backlog")
    scene.wait_dead(scene.start_worker("end.after:2:kill", ready=False))
    scene.start_worker()


def _refused(scene: Scene) -> None:
    """The output topic takes none of the long articles, so that their transactions fail."""
    helpers.alter_topic(
        scene.broker.direct, scene.output, {"max.message.bytes": str(inputs.LONG_BYTES)}
    )
    scene.start(1)


@pytest.mark.parametrize(
    ("sabotage", "script", "violation"),
    [
        ("drop_rejected", _nothing, "lost: "),
        ("send_twice", _nothing, "doubled: "),
        ("break_order", _nothing, "out of order: "),
        ("commit_before_produce", _killed, ("lost: ", "committed too far: ")),
        ("offsets_from_position", _killed, ("lost: ", "committed too far: ")),
        ("skip_abort", _refused, "lost: "),
    ],
)
def test_a_broken_worker_is_found_out(
    broker: Broker,
    tmp_path: Path,
    sabotage: str,
    script: Callable[[Scene], None],
    violation: str | tuple[str, ...],
) -> None:
    row = Row(
        sabotage,
        "",
        "",
        script,
        settings={"kafka": {"batch.size": str(inputs.LONG_BYTES - 500)}},
    )
    result = row.run(broker, tmp_path, EXACTLY_ONCE, rate=800, at_least=1_500, sabotage=sabotage)
    found = [line for line in result.verdict.violations if line.startswith(violation)]
    assert found, result.verdict.violations
    # The command, which knows nothing of the run, finds it in the topics.
    audited = [line for line in result.verdict.violations if line.startswith("audit: ")]
    assert audited, result.verdict.violations


def test_every_sabotage_is_tried() -> None:
    (marker,) = [
        mark
        for mark in test_a_broken_worker_is_found_out.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    ]
    assert {case[0] for case in marker.args[1]} == set(SABOTAGES)
