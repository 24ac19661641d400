"""The Kubernetes files hang together."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.deploy_files import (
    BASE,
    CONTAINER,
    GPU,
    POD,
    parsed,
)


@pytest.mark.parametrize("folder", [BASE, GPU], ids=["base", "gpu"])
def test_the_kustomization_lists_every_file(folder: Path) -> None:
    listed = parsed(folder / "kustomization.yaml")
    files = [name for name in listed["resources"] if name != "../base"]
    files += [patch["path"] for patch in listed.get("patches", [])]
    files += [name for item in listed["configMapGenerator"] for name in item["envs"]]
    assert sorted(files) == sorted(
        path.name for path in folder.iterdir() if path.name != "kustomization.yaml"
    )


def test_the_kubernetes_parts_find_each_other() -> None:
    deployment = parsed(BASE / "deployment.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert parsed(BASE / "service.yaml")["spec"]["selector"] == labels
    budget = parsed(BASE / "disruption-budget.yaml")
    assert budget["spec"]["selector"]["matchLabels"] == labels
    generated = {item["name"] for item in parsed(BASE / "kustomization.yaml")["configMapGenerator"]}
    assert CONTAINER["envFrom"][0]["configMapRef"]["name"] in generated
    patch = parsed(GPU / "deployment-patch.yaml")
    assert patch["metadata"] == {"name": deployment["metadata"]["name"]}
    assert patch["spec"]["template"]["spec"]["containers"][0]["name"] == CONTAINER["name"]
    # A Service called nerstream would otherwise put NERSTREAM_* variables into every pod.
    assert POD["enableServiceLinks"] is False


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", [BASE, GPU], ids=["base", "gpu"])
def test_kustomize_builds_it(folder: Path) -> None:
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    kinds = {document["kind"] for document in yaml.safe_load_all(done.stdout)}
    assert kinds == {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}
