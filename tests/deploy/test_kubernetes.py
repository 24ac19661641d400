"""The Kubernetes files hang together, and are what Kubernetes takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tables.page import RESULTS
from consumer.settings.schema import Settings
from tests.support.deploy import kubernetes_schemas, kustomized
from tests.support.deploy.deploy_files import (
    APPLIED,
    BASE,
    COMPONENTS,
    CONTAINER,
    GPU,
    KUBERNETES,
    POD,
    env_file,
    load,
    parsed,
)

FOLDERS = sorted(path.parent for path in KUBERNETES.rglob("kustomization.yaml"))
#: Kinds that a CRD brings; `make check-deploy` holds them against it.
FOREIGN = {"ScaledObject", "PodMonitor"}
BASE_KINDS = {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}
KINDS = {
    "base": BASE_KINDS,
    "gpu": BASE_KINDS,
    "production": (BASE_KINDS - {"Deployment"})
    | {"StatefulSet", "Namespace", "NetworkPolicy"}
    | FOREIGN,
}


def workload(name: str) -> dict[str, Any]:
    """The Deployment or StatefulSet."""
    return kustomized.one(name, "StatefulSet" if name == "production" else "Deployment")


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = workload(name)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_the_kustomization_lists_every_file(folder: Path) -> None:
    listed = parsed(folder / "kustomization.yaml")
    files = [name for name in listed.get("resources", []) if not name.startswith("../")]
    files += [patch["path"] for patch in listed.get("patches", []) if "path" in patch]
    files += [name for item in listed.get("configMapGenerator", []) for name in item["envs"]]
    assert sorted(files) == sorted(
        path.name for path in folder.iterdir() if path.name != "kustomization.yaml"
    )


def test_every_component_is_used() -> None:
    used = {
        Path(name).name
        for folder in FOLDERS
        for name in parsed(folder / "kustomization.yaml").get("components", [])
    }
    assert used == {path.name for path in COMPONENTS.iterdir()}


def test_the_kubernetes_parts_find_each_other() -> None:
    deployment = parsed(BASE / "deployment.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert parsed(BASE / "service.yaml")["spec"]["selector"] == labels
    budget = parsed(BASE / "disruption-budget.yaml")
    assert budget["spec"]["selector"]["matchLabels"] == labels
    generated = {item["name"] for item in parsed(BASE / "kustomization.yaml")["configMapGenerator"]}
    assert CONTAINER["envFrom"][0]["configMapRef"]["name"] in generated
    assert parsed(GPU / "pod.yaml")["metadata"] == {"name": deployment["metadata"]["name"]}
    # A Service called nerstream would otherwise put NERSTREAM_* variables into every pod.
    assert POD["enableServiceLinks"] is False


@pytest.mark.parametrize("name", APPLIED)
def test_kustomize_builds_it(name: str) -> None:
    assert {document["kind"] for document in kustomized.built(name)} == KINDS[name]


@pytest.mark.parametrize("version", kubernetes_schemas.VERSIONS)
@pytest.mark.parametrize("name", APPLIED)
def test_kubernetes_would_take_it(name: str, version: str) -> None:
    for document in kustomized.built(name):
        if document["kind"] not in FOREIGN:
            assert kubernetes_schemas.faults(document, version) == [], document["kind"]


def test_what_kubernetes_would_not_take_is_found() -> None:
    document = parsed(BASE / "disruption-budget.yaml")
    assert kubernetes_schemas.faults(document, "1.34.0") == []
    document["spec"] |= {"maxUnavailabel": 1, "selector": []}
    wrong, unknown = sorted(kubernetes_schemas.faults(document, "1.34.0"))
    assert wrong.startswith("spec.selector:")
    assert "maxUnavailabel" in unknown


@pytest.mark.parametrize("name", APPLIED)
def test_pods_are_restricted(name: str) -> None:
    spec = pod(name)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in (*spec["initContainers"], *spec["containers"]):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(one["resources"]["requests"]) == {"cpu", "memory"}
        assert one["resources"]["limits"]["memory"]
    assert all(set(volume) == {"name", "emptyDir"} for volume in spec["volumes"])


def test_the_memory_is_what_recorded_workers_had_and_some() -> None:
    most = max(
        run["peak_bytes"]
        for path in RESULTS.glob("worker-b*.json")
        if "peak_bytes" in (run := json.loads(path.read_text()))
    )
    resources = CONTAINER["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert int(resources["limits"]["memory"].removesuffix("Gi")) * 2**30 > 1.2 * most


def test_the_gpu_component_reaches_both_containers() -> None:
    spec = pod("gpu")
    (worker,), (doctor,) = spec["containers"], spec["initContainers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert worker["image"] == doctor["image"]
    assert worker["image"].endswith("-cuda")
    variables = kustomized.one("gpu", "ConfigMap")["data"]
    assert variables == env_file(BASE / "settings.env") | env_file(GPU / "settings.env")


def test_the_stateful_pods_are_those_of_the_deployment() -> None:
    stateful, deployment = workload("production")["spec"], workload("base")["spec"]
    (ours, theirs) = (pod("production"), pod("base"))
    names = {
        kustomized.one(name, "ConfigMap")["metadata"]["name"] for name in ("production", "base")
    }
    assert len(names) == 1
    assert ours == theirs
    assert stateful["selector"] == deployment["selector"]
    assert stateful["serviceName"] == kustomized.one("production", "Service")["metadata"]["name"]
    assert kustomized.one("production", "Service")["spec"]["clusterIP"] == "None"


def test_everything_of_production_is_in_its_namespace() -> None:
    namespace = kustomized.one("production", "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for document in kustomized.built("production"):
        if document is not namespace:
            assert document["metadata"]["namespace"] == namespace["metadata"]["name"]


def test_workers_may_reach_what_their_settings_name_and_nobody_else() -> None:
    policy = kustomized.one("production", "NetworkPolicy")["spec"]
    labels = workload("production")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (scrapes,) = policy["ingress"]
    assert scrapes["ports"] == [{"protocol": "TCP", "port": CONTAINER["ports"][0]["name"]}]
    ports = [{one["port"] for one in rule["ports"]} for rule in policy["egress"]]
    assert ports == [{53}, {9092, 9093}, {8081}, {4318}, {443}]
    brokers = load(kustomized.one("production", "ConfigMap")["data"]).bootstrap_servers
    assert {int(one.rpartition(":")[2]) for one in brokers.split(",")} <= ports[1]
    assert all(rule["to"] for rule in policy["egress"])


def test_a_worker_is_scraped_once_and_under_the_name_that_the_alerts_look_for() -> None:
    monitor = kustomized.one("production", "PodMonitor")["spec"]
    labels = workload("production")["spec"]["template"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"] == labels
    assert labels[monitor["jobLabel"]] == "nerstream"
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["port"] == CONTAINER["ports"][0]["name"]
    assert endpoint["path"] == "/metrics"
    assert "annotations" not in kustomized.one("production", "Service")["metadata"]


def test_comments_name_settings_that_exist() -> None:
    for path in KUBERNETES.rglob("*.yaml"):
        comments = " ".join(re.findall(r"#(.*)", path.read_text(encoding="utf-8")))
        for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", comments):
            assert word in Settings.model_fields or word == "read_committed", f"{path}: {word}"
