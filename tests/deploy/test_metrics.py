"""The Prometheus and Grafana files, held against the metrics that the code declares."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from consumer.settings.schema import Settings
from consumer.telemetry.declaration import Kind
from consumer.telemetry.declarations import ALL
from tests.support.deploy.deploy_files import DEPLOY
from tests.support.monitoring.files import (
    ALERTS,
    DASHBOARD,
    GRAFANA,
    PANELS,
    PROMETHEUS,
    RECORDS,
    ROOT,
    RULE_FILES,
    RUNBOOKS,
    TEST_FILES,
    TESTS,
    panel_queries,
    parsed,
    rule_queries,
)

#: What Prometheus adds to every series of a scrape, and a supervisor to those of its workers.
SCRAPE_LABELS = {"job", "instance", "worker"}


def series() -> dict[str, set[str]]:
    """Name to label names of everything that a query may name."""
    names: dict[str, set[str]] = {}
    for item in ALL:
        labels = set(item.labels) | SCRAPE_LABELS
        if item.kind is Kind.HISTOGRAM:
            names[f"{item.name}_bucket"] = labels | {"le"}
            names[f"{item.name}_sum"] = names[f"{item.name}_count"] = labels
        else:
            names[item.name] = labels
    return names


#: Values of a label that are known in advance, by metric and label.
KNOWN = {(item.name, item.labels[0]): set(item.known) for item in ALL if item.known}
KNOWN |= {
    (f"{item.name}_bucket", "le"): {str(float(bound)) for bound in item.buckets}
    for item in ALL
    if item.kind is Kind.HISTOGRAM
}
SERIES = series()
RECORDED = {rule["record"] for rule in RECORDS}

#: Where counters stand as they are: series of tests, and those that rules take a rate of later.
RAW = {test["name"] for test in TESTS} | {
    *("nerstream:articles_in_time:count", "nerstream:articles_finished:count")
}


def expressions() -> list[tuple[str, str]]:
    """Where and what: every query of the dashboard, the rules and the rules' tests."""
    found = [*panel_queries(), *rule_queries()]
    found += [(test["name"], one["series"]) for test in TESTS for one in test["input_series"]]
    return found


def grouped_by(expression: str) -> set[str]:
    """The labels that `by`, `on` and `group_left` name."""
    clauses = re.findall(r"\b(?:by|on|group_left)\s*\(([^)]*)\)", expression)
    return {label for clause in clauses for label in re.findall(r"\w+", clause)}


def labels_after(expression: str) -> set[str]:
    """The labels that a result of this query may have."""
    names = re.findall(r"\bnerstream_\w+", expression)
    own = {label for name in names for label in SERIES[name]} | SCRAPE_LABELS
    return grouped_by(expression) if re.search(r"\bby\s*\(", expression) else own


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_query_names_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    for name in re.findall(r"\bnerstream:\w+:\w+", expression):
        assert name in RECORDED, f"{where}: {name}"
    selectors = re.findall(r"\b(nerstream_\w+)(?:\{([^}]*)\})?", expression)
    assert selectors or re.search(
        r"\bup\{|\bprocess_|nerstream:|^vector\(|\bALERTS\{", expression
    ), where
    for name, matchers in selectors:
        assert name in SERIES, f"{where}: {name}"
        for label, value in re.findall(r"(\w+)\s*=~?\s*\"([^\"]*)\"", matchers):
            assert label in SERIES[name], f"{where}: {name} has no label {label}"
            assert value in KNOWN.get((name, label), {value}), f"{where}: {label} is never {value}"
    if selectors:
        all_labels = {label for name, _ in selectors for label in SERIES[name]}
        assert grouped_by(expression) <= all_labels, where
    for name, _ in selectors:
        if name.endswith(("_total", "_bucket", "_sum", "_count")) and where not in RAW:
            assert re.search(r"\b(rate|increase)\(", expression), f"{where}: {name} is a counter"


def test_legends_name_labels_that_the_query_leaves() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")):
                assert label in labels_after(target["expr"]), f"{panel['title']}: {label}"


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        description = rule["annotations"]["description"]
        for label in re.findall(r"\$labels\.(\w+)", description):
            assert label in labels_after(rule["expr"]), f"{rule['alert']}: {label}"
        for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", description):
            assert word in Settings.model_fields, f"{rule['alert']}: {word}"


def test_the_troubles_that_matter_have_an_alert() -> None:
    watched = " ".join(rule["expr"] for rule in ALERTS)
    for name in (
        "up",
        "nerstream_partition_seconds_since_progress",
        "nerstream_partition_lag_messages",
        "nerstream_messages_rejected_total",
        "nerstream_transactions_total",
    ):
        assert re.search(rf"\b{name}\b", watched), name


def test_every_alert_has_a_test_that_fires_it() -> None:
    tested = "".join((PROMETHEUS / name).read_text(encoding="utf-8") for name in TEST_FILES)
    for rule in ALERTS:
        assert re.search(rf'alertname(="|: ){rule["alert"]}\b', tested), rule["alert"]


def test_every_record_is_used() -> None:
    used = " ".join(expression for _, expression in (*panel_queries(), *rule_queries()))
    for name in RECORDED:
        assert name in used, name


def test_every_alert_leads_to_its_page() -> None:
    for rule in ALERTS:
        page = f"docs/runbooks/{rule['alert']}.md"
        address = rule["annotations"]["runbook_url"]
        assert address == "{{ with $externalLabels.runbooks }}{{ . }}/{{ end }}" + page
        assert (ROOT / page).is_file(), page
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {rule["alert"] for rule in ALERTS}


def test_every_metric_can_be_seen() -> None:
    shown = " ".join(expression for _, expression in (*panel_queries(), *rule_queries()))
    hidden = {item.name for item in ALL if not re.search(rf"\b{item.name}(_\w+)?\b", shown)}
    assert hidden == set()


def test_prometheus_scrapes_the_workers_of_compose() -> None:
    config = parsed(PROMETHEUS / "prometheus.yml")
    assert config["rule_files"] == RULE_FILES
    (job,) = config["scrape_configs"]
    (target,) = job["dns_sd_configs"]
    services = parsed(DEPLOY / "compose.yaml")["services"]
    assert job["job_name"] == "nerstream"
    assert job.get("metrics_path", "/metrics") == "/metrics"
    assert set(target["names"]) <= set(services)
    assert target["port"] == Settings().admin_port
    assert "./prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]


def test_grafana_finds_its_datasource_and_its_dashboards() -> None:
    services = parsed(DEPLOY / "compose.yaml")["services"]
    (source,) = parsed(GRAFANA / "provisioning/datasources/prometheus.yml")["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    assert host in services
    assert any(spec.endswith(f":{port}") for spec in services[host]["ports"])
    (provider,) = parsed(GRAFANA / "provisioning/dashboards/nerstream.yml")["providers"]
    mounts = [mount.split(":") for mount in services["grafana"]["volumes"]]
    folders = {inside: outside for outside, inside, _ in mounts}
    assert folders[provider["options"]["path"]] == "./grafana/dashboards"
    assert folders["/etc/grafana/provisioning"] == "./grafana/provisioning"
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (DEPLOY / folders[str(home.parent)] / home.name).is_file()
    scrape = parsed(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape


def test_every_panel_asks_the_provisioned_datasource() -> None:
    (source,) = parsed(GRAFANA / "provisioning/datasources/prometheus.yml")["datasources"]
    expected = {"type": source["type"], "uid": source["uid"]}
    (variable,) = (one for one in DASHBOARD["templating"]["list"] if one["type"] == "query")
    for holder in [variable, *PANELS, *(one for panel in PANELS for one in panel["targets"])]:
        assert holder["datasource"] == expected
    asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert asked is not None
    assert asked[2] in SERIES[asked[1]]


def test_the_panels_are_laid_out() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                taken = cells.setdefault((x, y), panel["title"])
                assert taken == panel["title"], f"{taken} and {panel['title']} overlap"
    for panel in PANELS:
        assert panel["description"], panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        if "Of all workers" not in panel["description"]:
            for target in panel["targets"]:
                assert '"$instance"' in target["expr"], panel["title"]
