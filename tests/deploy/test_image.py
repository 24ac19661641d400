"""The Dockerfile and the compose file, held against the code; no container engine needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from consumer import __version__
from consumer.telemetry.admin import AdminServer
from consumer.telemetry.health import Health
from tests.support.deploy.deploy_files import (
    COMPOSE,
    CONTAINER,
    DEPLOY,
    DOCTOR,
    GPU,
    POD,
    ROOT,
    SERVICES,
    instructions,
    last,
    parsed,
)
from tests.support.processes.first_process import first_process


@pytest.mark.parametrize(("alive", "code"), [(True, 0), (False, 1)])
def test_the_health_check_of_the_image_asks_by_the_worker_s_own_settings(
    alive: bool, code: int, tmp_path: Path
) -> None:
    """The port stands in a file that a flag of the container's first process names."""
    command = json.loads(last("HEALTHCHECK").split("CMD ", 1)[1])
    assert command == ["nerstream", "health", "--of", "1"]
    server = AdminServer("127.0.0.1", 0, CollectorRegistry(), lambda: Health(alive, False))
    server.start()
    (tmp_path / "worker.toml").write_text(f"admin_port = {server.port}\n")
    try:
        with first_process(tmp_path, ["--config", str(tmp_path / "worker.toml")]) as process:
            done = subprocess.run(
                [sys.executable, "-m", "consumer", *command[1:-1], str(process.pid)],
                cwd=ROOT,
                env={**os.environ, "NERSTREAM_ADMIN_HOST": "0.0.0.0"},
                capture_output=True,
                timeout=240,
                check=False,
            )
    finally:
        server.close()
    assert done.returncode == code, done.stderr


def test_every_image_is_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += [CONTAINER["image"], DOCTOR["image"]]
    services = parsed(DEPLOY / "compose.gpu.yaml")["services"].values()
    images += [service["image"] for service in services]
    pod = parsed(GPU / "pod.yaml")["spec"]["template"]["spec"]
    images += [one["image"] for one in (*pod["initContainers"], *pod["containers"])]
    python = dict(argument.split("=") for name, argument in instructions() if name == "ARG")
    stages = [argument for name, argument in instructions() if name == "FROM"]
    images += [stage.split(" AS ")[0].replace("${PYTHON}", python["PYTHON"]) for stage in stages]
    assert len(images) == 14
    for image in images:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+(-[a-z-]+)?", image), image
        if image.startswith("nerstream:"):
            assert image.removesuffix("-cuda") == f"nerstream:{__version__}"


def test_compose_runs_the_kafka_that_the_tests_run() -> None:
    pom = ET.parse(ROOT / "tests/integration/kafka/pom.xml").getroot()
    version = next(
        node.findtext("{*}version")
        for node in pom.iter("{http://maven.apache.org/POM/4.0.0}dependency")
        if node.findtext("{*}groupId") == "org.apache.kafka"
    )
    assert {SERVICES[name]["image"] for name in ("kafka", "topics")} == {f"apache/kafka:{version}"}


def test_the_image_runs_nerstream_as_nobody_special() -> None:
    user, group = last("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    context = POD["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))
    assert context["runAsNonRoot"] is True
    assert json.loads(last("ENTRYPOINT")) == ["nerstream"]
    assert json.loads(last("CMD")) == ["run"]
    assert last("STOPSIGNAL") == "SIGTERM"
    assert CONTAINER["args"] == ["run"]


def test_the_root_is_read_only_and_what_must_be_written_is_mounted() -> None:
    cache = re.search(r"HF_HOME=(\S+)", last("ENV"))
    assert cache is not None
    assert last("VOLUME") == cache[1]
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {mount["mountPath"]: mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert set(mounts) == {"/tmp", cache[1]}
    assert {volume["name"] for volume in POD["volumes"]} == set(mounts.values())
    worker = SERVICES["worker"]
    assert worker["read_only"] is True
    assert worker["tmpfs"] == ["/tmp"]
    assert worker["volumes"] == [f"huggingface:{cache[1]}"]


def test_triton_finds_a_compiler_and_a_place_that_is_kept() -> None:
    installs = [one for name, one in instructions() if name == "RUN" and "gcc libc6-dev" in one]
    # The first is that of the build, for the attention kernel.
    assert len(installs) == 2
    assert installs[1].startswith('test "$DEVICE" != cuda ||')
    cache = re.search(r"TRITON_CACHE_DIR=(\S+)", last("ENV"))
    assert cache is not None
    assert cache[1].startswith(last("VOLUME") + "/")


def test_the_build_gets_every_file_that_it_needs() -> None:
    copied = {
        source
        for name, argument in instructions()
        if name == "COPY" and not argument.startswith("--from")
        for source in argument.split()[:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignore
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignore, source
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], project["project"]["readme"], "constraints.txt"}
    needed |= {source.split("/")[0] for source in wheel.get("force-include", {})}
    assert needed <= copied
    for name, argument in instructions():
        if name == "RUN" and "-r requirements.txt" in argument:
            assert "-c constraints.txt" in argument


def test_the_image_has_all_that_a_setting_may_ask_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    (script,) = (
        re.search(r"python -c '([^']+)'", argument)
        for name, argument in instructions()
        if name == "RUN" and "tomllib" in argument
    )
    assert script is not None
    done = subprocess.run(
        [sys.executable, "-c", script[1]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tools = {"bench", "dev", "fuzz", "sbom"}
    wanted = [*project["dependencies"]]
    wanted += [one for extra in extras.keys() - tools for one in extras[extra]]
    assert sorted(done.stdout.splitlines()) == sorted(wanted)


def test_the_image_takes_the_torch_of_the_constraints() -> None:
    script = next(
        re.search(r"sed -n '([^']+)' constraints.txt", argument)
        for name, argument in instructions()
        if name == "RUN" and "sed -n" in argument
    )
    assert script is not None
    done = subprocess.run(
        ["sed", "-n", script[1], ROOT / "constraints.txt"], capture_output=True, check=True
    )
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+\n", done.stdout.decode())


def test_compose_opens_its_ports_to_this_machine_only() -> None:
    ports = [spec for service in SERVICES.values() for spec in service.get("ports", [])]
    assert len(ports) == 4
    assert all(spec.startswith("127.0.0.1:") for spec in ports)


def test_compose_waits_for_what_can_be_waited_for() -> None:
    waits = 0
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            waits += 1
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[name]["restart"] == "no"
    assert waits == 6


def test_compose_mounts_what_exists() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).is_dir(), source
            else:
                assert source in COMPOSE["volumes"], source
    build = SERVICES["worker"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
