"""What takes tools that are built for minutes: `make check-deploy` builds them and runs this."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.deploy import kubernetes_schemas, kustomized
from tests.support.deploy.deploy_files import APPLIED, DEPLOY, KUBERNETES, ROOT, parsed

TOOLS = ROOT / ".deploy-tools"

pytestmark = pytest.mark.skipif(
    not (TOOLS / ".installed").exists(),
    reason="the tools for deploy/ are not built; `make check-deploy` builds them",
)


def run(*words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """One of the tools."""
    name, *arguments = words
    return subprocess.run(
        [TOOLS / "bin" / name, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")])
def test_compose_reads_its_files(files: tuple[str, ...]) -> None:
    chosen = [word for name in files for word in ("-f", str(DEPLOY / name))]
    done = run("docker-compose", *chosen, "config")
    assert (done.returncode, done.stderr) == (0, "")
    whole = yaml.safe_load(done.stdout)
    assert set(whole["services"]) == set(parsed(DEPLOY / "compose.yaml")["services"])
    worker = whole["services"]["worker"]
    assert worker["image"].endswith("-cuda") is (len(files) == 2)


def test_compose_is_heard(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {one: {imagee: two}}")
    done = run("docker-compose", "-f", tmp_path / "compose.yaml", "config")
    assert done.returncode != 0
    assert "imagee" in done.stderr


@pytest.mark.parametrize("name", APPLIED)
def test_kubernetes_itself_calls_the_pods_restricted(name: str) -> None:
    manifests = run("kustomize", "build", KUBERNETES / name)
    assert manifests.returncode == 0, manifests.stderr
    told = run("podsecurity", given=manifests.stdout)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.endswith(" nerstream: restricted\n")


def test_kubernetes_itself_is_heard() -> None:
    manifests = run("kustomize", "build", KUBERNETES / "base").stdout
    for asked, instead in (("runAsNonRoot: true", "runAsNonRoot: false"), ("- ALL", "- KILL")):
        assert asked in manifests
        told = run("podsecurity", given=manifests.replace(asked, instead))
        assert told.returncode == 1
        assert "refused" in told.stdout


@pytest.mark.parametrize("kind", ["ScaledObject", "PodMonitor"])
def test_the_operators_would_take_it(kind: str) -> None:
    crds = [parsed(path) for path in (TOOLS / "crds").glob("*.yaml")]
    (crd,) = (one for one in crds if one["spec"]["names"]["kind"] == kind)
    document = kustomized.one("production", kind)
    assert kubernetes_schemas.crd_faults(document, crd) == []
    # And it is no schema that takes everything.
    document = document | {"spec": document["spec"] | {"selectorr": {}}}
    (fault,) = kubernetes_schemas.crd_faults(document, crd)
    assert "selectorr" in fault
