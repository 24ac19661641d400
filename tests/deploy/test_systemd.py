"""The unit of systemd, held against the code, the image and systemd's own judgement."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from consumer.settings.schema import Settings
from consumer.worker import ABORT_S
from tests.support.deploy.deploy_files import DEPLOY, load

UNIT = DEPLOY / "systemd/nerstream@.service"

#: The greatest exposure that `systemd-analyze security` may find, of 10; it finds 1.4.
EXPOSURE = 1.5


def values(key: str) -> list[str]:
    """What stands behind a key, each time that it is there."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def environment() -> dict[str, str]:
    pairs = [pair.split("=", 1) for line in values("Environment") for pair in line.split()]
    return dict(pairs)


def variables() -> dict[str, str]:
    given = {name: value for name, value in environment().items() if name.startswith("NERSTREAM_")}
    # systemd's own names for the folder of credentials, the host and what stands behind the @.
    return {
        name: value.replace("%H", "news-1.example.org").replace("%i", "0")
        for name, value in given.items()
    }


def test_the_settings_are_right() -> None:
    given = variables()
    assert given.pop("NERSTREAM_CONFIG") == "%d/worker.toml"
    assert values("LoadCredential") == ["worker.toml:/etc/nerstream/worker.toml"]
    assert load(given).instance == "news-1.example.org-0"


def test_what_its_head_says_is_what_the_page_says() -> None:
    head = UNIT.read_text("utf-8").partition("[Unit]")[0]
    commands = re.findall(r"^#   (.+)$", head, re.MULTILINE)
    assert len(commands) == 3
    page = (DEPLOY / "README.md").read_text("utf-8").splitlines()
    assert [one for one in commands if one not in page] == []
    # Without -D it fails where the folder is missing, as on each new host.
    assert any(one.startswith("install -D ") and "/etc/nerstream/" in one for one in commands)


def test_workers_of_one_host_have_names_of_their_own() -> None:
    # A worker without a name takes the first number that no other holds in /tmp; here no worker
    # sees another's.
    assert values("PrivateTmp") == ["yes"]
    assert "%i" in environment()["NERSTREAM_INSTANCE"]


def test_the_drain_has_time() -> None:
    (seconds,) = values("TimeoutStopSec")
    assert int(seconds) >= Settings().shutdown_timeout_s + ABORT_S + 5
    # Its tokenizer processes are needed until it has drained.
    assert values("KillMode") == ["mixed"]
    assert values("KillSignal") == []


def test_it_is_started_again_whatever_it_failed_of() -> None:
    # systemd would heed an exit code of the worker, and not of the doctor before it.
    assert values("Restart") == ["on-failure"]
    assert values("RestartPreventExitStatus") == []
    assert values("StartLimitIntervalSec") == ["0"]


def test_it_looks_before_it_starts() -> None:
    program = "/opt/nerstream/bin/nerstream"
    assert values("ExecStartPre") == [f"{program} doctor --no-model"]
    assert values("ExecStart") == [f"{program} run"]
    assert values("Type") == ["exec"]


def test_caches_are_where_they_may_be_written() -> None:
    assert values("CacheDirectory") == ["nerstream"]
    given = environment()
    assert given["HF_HOME"] == "%C/nerstream"
    assert given["TRITON_CACHE_DIR"].startswith("%C/nerstream/")
    assert given["HOME"] == "/tmp"


def test_comments_name_settings_that_exist() -> None:
    comments = " ".join(re.findall(r"^#(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", comments))
    assert named
    assert named <= set(Settings.model_fields)


@pytest.fixture
def analyze(tmp_path: Path) -> list[str]:
    """systemd-analyze; the test skips where there is none, or an old one."""
    found = shutil.which("systemd-analyze")
    reason = "there is no systemd-analyze of systemd 250 or later"
    if found:
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
        version = re.match(r"systemd (\d+)", told.stdout)
        if version and int(version[1]) >= 250:
            # A program that is there, since it looks.
            unit = UNIT.read_text("utf-8").replace("/opt/nerstream/bin/nerstream", "/bin/true")
            (tmp_path / "nerstream@0.service").write_text(unit, encoding="utf-8")
            return [found]
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def test_systemd_understands_all_of_it(analyze: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*analyze, "verify", "--man=no", tmp_path / "nerstream@0.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if "nerstream" in line]
    assert (done.returncode, told) == (0, [])


def test_what_systemd_does_not_understand_is_found(analyze: list[str], tmp_path: Path) -> None:
    unit = tmp_path / "nerstream@0.service"
    unit.write_text(unit.read_text().replace("PrivateTmp=", "PrivateTemp="), encoding="utf-8")
    done = subprocess.run(
        [*analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert "PrivateTemp" in done.stderr


def test_systemd_finds_little_exposed(analyze: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *analyze,
            *("security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", "--no-pager"),
            tmp_path / "nerstream@0.service",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
