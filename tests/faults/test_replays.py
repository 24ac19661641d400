"""Dead letters that are sent back: each once, whatever happens to the replay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.brokers.broker import Broker
from tests.faults.matrix.replay_scene import ReplayScene
from tests.faults.rows.replays import ReplayRow, behind_open, killed_at
from tests.faults.rows.row import EXACTLY_ONCE
from tests.faults.rows.table import BY_NAME
from tests.faults.workers.faulty_replay import SABOTAGES

pytestmark = pytest.mark.kafka

_LETTERS = 1_200

#: The steps at which a replay that is written wrongly loses or doubles.
_STEPS = ("look.after", "mark.before", "flush.after", "end.before", "end.after")

_SHORT = (
    ReplayRow("replay_killed_at_every_step", "replay", "", killed_at(_STEPS)),
    BY_NAME["replay_interrupted"],
    BY_NAME["replay_two_at_once"],
    BY_NAME["replay_stopped"],
    BY_NAME["replay_behind_open"],
    BY_NAME["replay_end_answer_lost"],
)


@pytest.mark.parametrize("row", _SHORT, ids=lambda row: row.name)
def test_each_letter_is_sent_once(broker: Broker, tmp_path: Path, row: ReplayRow) -> None:
    result = row.run(broker, tmp_path, EXACTLY_ONCE, rate=0, at_least=_LETTERS)
    assert result.verdict.violations == ()
    assert (result.verdict.lost, result.verdict.doubled) == (0, 0)
    assert result.faults > 0


def _killed(scene: ReplayScene) -> None:
    killed_at(("end.after", "send.after"))(scene)


@pytest.mark.parametrize(
    ("sabotage", "violation"),
    [("forget_marks", "doubled: "), ("no_marks", "doubled: "), ("look_short", "doubled: ")],
)
def test_a_broken_replay_is_found_out(
    broker: Broker, tmp_path: Path, sabotage: str, violation: str
) -> None:
    script: Callable[[ReplayScene], None] = behind_open if sabotage == "look_short" else _killed
    row = ReplayRow(sabotage, "replay", "", script)
    result = row.run(broker, tmp_path, EXACTLY_ONCE, rate=0, at_least=600, sabotage=sabotage)
    assert [line for line in result.verdict.violations if line.startswith(violation)]


def test_every_sabotage_is_tried() -> None:
    (marker,) = [
        mark
        for mark in test_a_broken_replay_is_found_out.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    ]
    assert {case[0] for case in marker.args[1]} == set(SABOTAGES)
