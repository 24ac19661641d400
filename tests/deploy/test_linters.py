"""hadolint reads the Dockerfile, shellcheck every script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.deploy.deploy_files import DEPLOY, ROOT


def installed(name: str) -> Path:
    """A program of the environment that the tests run in; where it has none for this machine the
    test skips."""
    path = Path(sys.executable).parent / name
    if path.exists():
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed", pytrace=False)
    pytest.skip(f"{name} is not installed: there is none for this machine")


def scripts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = []
    for name in listed.stdout.split("\0")[:-1]:
        path = ROOT / name
        if path.is_file() and path.read_bytes()[:24].startswith(
            (b"#!/usr/bin/env bash", b"#!/bin/sh", b"#!/bin/bash")
        ):
            found.append(path)
    return found


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [installed("hadolint"), "--no-color", DEPLOY / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_hadolint_is_heard(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian:latest\nRUN cd /tmp && sudo true\n")
    done = subprocess.run(
        [installed("hadolint"), "--no-color", tmp_path / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "DL3004" in done.stdout


def test_shellcheck_has_nothing_to_say() -> None:
    found = scripts()
    assert len(found) >= 4
    done = subprocess.run(
        [installed("shellcheck"), "--color=never", *found],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_shellcheck_is_heard(tmp_path: Path) -> None:
    (tmp_path / "one.sh").write_text("#!/usr/bin/env bash\nrm -rf $1\n")
    done = subprocess.run(
        [installed("shellcheck"), "--color=never", tmp_path / "one.sh"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "SC2086" in done.stdout
