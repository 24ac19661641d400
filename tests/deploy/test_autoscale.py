"""How many workers KEDA is told to run, asked of Prometheus' own engine."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from consumer.telemetry.declarations import ALL
from tests.support.deploy import kustomized
from tests.support.deploy.deploy_files import BASE, COMPONENTS, DEPLOY, ROOT, parsed
from tests.support.monitoring.programs import program_or_skip

SCALED = parsed(COMPONENTS / "autoscale/scaled-object.yaml")["spec"]
(TRIGGER,) = SCALED["triggers"]
QUERY = TRIGGER["metadata"]["query"]

#: As the query has them: articles a second of a worker, and seconds for what waits.
RATE, CATCH_UP_S = 35, 300
#: Minutes of samples, one each 15 s; the answer is that of the last.
MINUTES = 10


def partition(
    *,
    number: int = 0,
    worker: str = "a",
    topic: str = "articles",
    rate: float = 0,
    lag: float = 0,
    held_back: float = 0,
    until: int = MINUTES * 4,
    namespace: str = "nerstream",
) -> list[dict[str, str]]:
    """What one worker shows of a partition.

    Args:
        rate: messages that come in a second.
        lag: offsets up to the high watermark.
        held_back: of these, behind an open transaction.
        until: how many samples there are.
    """
    labels = (
        f'{{job="nerstream",namespace="{namespace}",instance="{worker}",topic="{topic}",'
        f'partition="{number}"}}'
    )
    gone = "" if until >= MINUTES * 4 else f" stale _x{MINUTES * 4 - until}"
    steps = {
        "nerstream_partition_high_watermark_offset": f"{1000 + held_back}+{rate * 15}x{until}",
        "nerstream_partition_last_stable_offset": f"1000+{rate * 15}x{until}",
        "nerstream_partition_lag_messages": f"{lag}+0x{until}",
    }
    return [{"series": name + labels, "values": values + gone} for name, values in steps.items()]


SCENES: dict[str, tuple[list[dict[str, str]], float | None]] = {
    "nothing comes, nothing waits": (partition() + partition(number=1), 0),
    "what comes": (partition(rate=RATE) + partition(number=1, rate=RATE / 2), 1.5),
    "what waits": (partition(lag=RATE * CATCH_UP_S) + partition(number=1), 1),
    "no more than partitions": (partition(lag=1e9) + partition(number=1, lag=1e9), 2),
    "what no worker may read": (partition(lag=5e5, held_back=5e5) + partition(number=1), 0),
    "a partition that changed hands a minute ago": (
        partition(lag=RATE * CATCH_UP_S, until=MINUTES * 4 - 4)
        + partition(number=1)
        + partition(number=2),
        1,
    ),
    "a partition that two workers show": (
        partition(lag=RATE * CATCH_UP_S)
        + partition(lag=RATE * CATCH_UP_S, worker="b")
        + partition(number=1),
        1,
    ),
    "two topics": (
        partition(rate=RATE) + partition(rate=RATE, topic="articles-2"),
        2,
    ),
    "workers of somebody else": (partition() + partition(rate=1e6, namespace="other"), 0),
    "no workers": (partition(namespace="other"), None),
}


@pytest.mark.parametrize("scene", SCENES)
def test_the_query_says_how_many_workers(scene: str, tmp_path: Path) -> None:
    promtool = program_or_skip("promtool")
    series, expected = SCENES[scene]
    # Rounded, since a slope is a sum of many numbers.
    rule = {"record": "workers", "expr": f"round({QUERY}, 0.01)"}
    samples = [] if expected is None else [{"labels": "workers", "value": expected}]
    asked = {"expr": "workers", "eval_time": f"{MINUTES}m", "exp_samples": samples}
    case = {"interval": "15s", "input_series": series, "promql_expr_test": [asked]}
    _write(tmp_path / "rules.yml", {"groups": [{"name": "scale", "rules": [rule]}]})
    _write(tmp_path / "test.yml", {"rule_files": ["rules.yml"], "tests": [case]})
    done = subprocess.run(
        [promtool, "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def _write(path: Path, whole: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(whole), encoding="utf-8")


def test_the_query_names_metrics_that_a_worker_has() -> None:
    known = {item.name: set(item.labels) for item in ALL}
    named = re.findall(r"(nerstream_\w+)\{([^}]*)\}", QUERY)
    assert len(named) == 5
    for name, labels in named:
        assert {"topic", "partition"} <= known[name], name
        assert labels == 'job="nerstream",namespace="nerstream"'
    assert TRIGGER["metadata"]["threshold"] == "1"
    assert str(RATE) in QUERY
    assert str(CATCH_UP_S) in QUERY


def test_who_takes_it_is_told_of_the_namespace() -> None:
    file = (COMPONENTS / "autoscale/scaled-object.yaml").read_text("utf-8")
    head = file[: file.index("apiVersion:")]
    assert 'namespace="nerstream", five times' in head
    (row,) = re.findall(r"^\| `autoscale` .*$", (DEPLOY / "README.md").read_text("utf-8"), re.M)
    page = (ROOT / "docs/operations/scaling.md").read_text("utf-8")
    for text in (head, row, page[page.index("What to set:") :]):
        assert "namespace" in text
        assert "for ever" in text


def test_it_scales_what_there_is() -> None:
    deployment = parsed(BASE / "deployment.yaml")
    target = SCALED["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (deployment["kind"], deployment["metadata"]["name"])
    target = kustomized.one("production", "ScaledObject")["spec"]["scaleTargetRef"]
    scaled = kustomized.one("production", target["kind"])
    assert (target["kind"], target["name"]) == ("StatefulSet", scaled["metadata"]["name"])
    # A number there would be set anew by each `kubectl apply`.
    assert "replicas" not in scaled["spec"]


def test_it_never_scales_to_nothing_nor_to_and_fro() -> None:
    least, most = SCALED["minReplicaCount"], SCALED["maxReplicaCount"]
    assert 2 <= least <= SCALED["fallback"]["replicas"] <= most
    assert TRIGGER["metadata"]["ignoreNullValues"] == "false"
    behavior = SCALED["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    # Down later than the query can see: else what two minutes hold would move it.
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 600
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] >= SCALED["pollingInterval"]
