from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from consumer import cli
from consumer.commands.doctor.command import planned_workers
from consumer.settings.schema import Settings

ROOT = Path(__file__).parents[3]


def test_help_imports_neither_the_client_nor_torch() -> None:
    code = (
        "import sys; from consumer import cli; cli.main(['doctor', '--help']);"
        "sys.exit(any(one in sys.modules for one in ('torch', 'confluent_kafka', 'numpy')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--sample N" in done.stdout
    assert "Nothing is written to Kafka" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sample", "0"], "is not a whole number from 1 to 100000"),
        (["--sample", "many"], '"many" is not a whole number'),
        (["--planned-workers", "0"], "is not a whole number of at least 1"),
        (["--batch-tokens", "x"], "--batch-tokens"),
        (["--kafka", "no.such.property=1"], "no.such.property"),
    ],
)
def test_wrong_settings_end_with_two(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "--no-model", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


@pytest.mark.parametrize(
    ("given", "workers", "planned"),
    [(None, "1", None), (None, "4", 4), (None, "auto", None), (2, "4", 2), (1, "1", 1)],
)
def test_the_workers_of_the_settings_are_planned(
    given: int | None, workers: str, planned: int | None
) -> None:
    assert planned_workers(given, Settings(workers=workers)) == planned
