"""promtool reads the Prometheus files, and runs the unit tests of the rules."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.monitoring.files import (
    PROMETHEUS,
    RULE_FILES,
    TEST_FILES,
    answered,
    panel_queries,
    parsed,
)
from tests.support.monitoring.programs import program_or_skip


@pytest.fixture(scope="module")
def promtool() -> str:
    return program_or_skip("promtool")


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "config", "one-worker.yml"),
        ("check", "rules", *RULE_FILES),
        ("test", "rules", *TEST_FILES),
    ],
    ids=" ".join,
)
def test_promtool_agrees(promtool: str, command: tuple[str, ...]) -> None:
    done = subprocess.run([promtool, *command], cwd=PROMETHEUS, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_worker_is_scraped_with_the_same_rules() -> None:
    """The dashboard asks for their records."""
    loaded = [
        parsed(PROMETHEUS / name)["rule_files"] for name in ("prometheus.yml", "one-worker.yml")
    ]
    assert loaded == [RULE_FILES, RULE_FILES]


def test_promtool_reads_every_query_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": answered(expression, "1m")}
        for number, (_, expression) in enumerate(panel_queries())
    ]
    assert len(rules) > 30
    path = tmp_path / "dashboard.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
