"""The Kubernetes files as `kubectl apply -k` sends them, or a reason to skip."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from tests.support.deploy.deploy_files import KUBERNETES


@cache
def built(name: str) -> list[dict[str, Any]]:
    """Every object of the folder of this name. The test skips where neither kustomize nor kubectl
    is installed, and fails under CI=true."""
    if found := shutil.which("kustomize"):
        command = [found, "build"]
    elif found := shutil.which("kubectl"):
        command = [found, "kustomize"]
    elif os.environ.get("CI") == "true":
        pytest.fail("neither kustomize nor kubectl is installed", pytrace=False)
    else:
        pytest.skip("neither kustomize nor kubectl is installed")
    done = subprocess.run([*command, KUBERNETES / name], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return list(yaml.safe_load_all(done.stdout))


def one(name: str, kind: str) -> dict[str, Any]:
    """The one object of this kind."""
    (found,) = (document for document in built(name) if document["kind"] == kind)
    return found
