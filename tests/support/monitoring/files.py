"""The Prometheus and Grafana files in deploy/, parsed, and the queries that stand in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
PROMETHEUS, GRAFANA = ROOT / "deploy/prometheus", ROOT / "deploy/grafana"
RUNBOOKS = ROOT / "docs/runbooks"

#: Files of rules, by name, and those of their unit tests.
RULE_FILES = sorted(one.name for one in PROMETHEUS.glob("*.yml") if "groups:" in one.read_text())
TEST_FILES = sorted(one.name for one in PROMETHEUS.glob("*_test.yml"))


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


DASHBOARD = json.loads((GRAFANA / "dashboards/nerstream.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = [
    rule
    for name in RULE_FILES
    for group in parsed(PROMETHEUS / name)["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = [rule for rule in RULES if "record" in rule]
TESTS = [test for name in TEST_FILES for test in parsed(PROMETHEUS / name)["tests"]]


def panel_queries() -> Iterator[tuple[str, str]]:
    """Title and query of each line of each panel."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def rule_queries() -> Iterator[tuple[str, str]]:
    """Name and expression of each rule."""
    for rule in RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]


def answered(query: str, interval: str) -> str:
    """A panel's query as Grafana asks it, of all workers.

    Args:
        interval: what `$__rate_interval` and `$__range` stand for.
    """
    query = query.replace("$instance", ".*")
    return re.sub(r"\$__(rate_interval|range)\b", interval, query)
