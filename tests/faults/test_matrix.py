"""The fault matrix in short; `make faults` runs all of it, with more messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import registry_or_skip
from tests.faults.brokers.broker import Broker
from tests.faults.feeding.feed import Shape
from tests.faults.rows.groups import churned
from tests.faults.rows.one_worker import killed_at, stopped_at
from tests.faults.rows.row import AT_LEAST_ONCE, EXACTLY_ONCE, Row
from tests.faults.rows.several_workers import one_of_several_killed, supervisor_killed
from tests.faults.rows.table import BY_NAME, ROWS

pytestmark = pytest.mark.kafka

#: Enough for some ten transactions of each of six partitions.
_MESSAGES = 1_500
_RATE = 600

#: The rows take them in turn, so that they are fed in every shape.
_SEEDS = 3

#: The steps at which a worker that is written wrongly loses or doubles.
_STEPS = ("send.after", "offsets.after", "end.before", "end.after")

_SHORT = (
    (Row("killed", "worker", "", killed_at(_STEPS)), EXACTLY_ONCE),
    (Row("killed", "worker", "", killed_at(_STEPS[2:])), AT_LEAST_ONCE),
    (Row("stopped", "worker", "", stopped_at("end.before")), EXACTLY_ONCE),
    (Row("churned", "group", "", lambda scene: churned(scene, turns=3)), EXACTLY_ONCE),
    (
        Row("churned_in_avro", "group", "", lambda s: churned(s, turns=3), in_avro=True),
        EXACTLY_ONCE,
    ),
    (
        Row("one_of_several_killed", "worker", "", lambda s: one_of_several_killed(s, 2)),
        EXACTLY_ONCE,
    ),
    (Row("supervisor_killed", "worker", "", lambda s: supervisor_killed(s, 1)), EXACTLY_ONCE),
    (BY_NAME["alone_restarted"], AT_LEAST_ONCE),
    (BY_NAME["cut"], AT_LEAST_ONCE),
    (BY_NAME["end_answer_lost"], EXACTLY_ONCE),
    (BY_NAME["end_request_late"], EXACTLY_ONCE),
    (BY_NAME["end_undelivered"], EXACTLY_ONCE),
)


_SEEDED = [(row, mode, 1 + at % _SEEDS) for at, (row, mode) in enumerate(_SHORT)]


@pytest.mark.parametrize(
    ("row", "delivery", "seed"),
    _SEEDED,
    ids=[f"{row.name}-{delivery}-{seed}" for row, delivery, seed in _SEEDED],
)
def test_each_input_has_one_outcome(
    request: pytest.FixtureRequest, tmp_path: Path, row: Row, delivery: str, seed: int
) -> None:
    broker: Broker = request.getfixturevalue("cluster" if row.cluster else "broker")
    if row.in_avro:
        registry_or_skip(broker.registry)
    result = row.run(broker, tmp_path, delivery, rate=_RATE, at_least=_MESSAGES, seed=seed)
    assert result.verdict.violations == ()
    assert result.verdict.lost == 0
    assert result.faults > 0
    assert len(result.recoveries_s) > 0
    if delivery == EXACTLY_ONCE:
        assert result.verdict.doubled == 0


def test_the_short_matrix_is_fed_in_every_shape() -> None:
    assert {row.shape(delivery, seed) for row, delivery, seed in _SEEDED} == set(Shape)


def test_every_row_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(ROWS)
    assert all(row.title and row.deliveries for row in ROWS)
