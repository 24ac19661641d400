"""The deployment files as a whole: settings, probes, ports and grace periods."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from consumer.settings.schema import Settings
from consumer.telemetry.admin import AdminServer
from consumer.telemetry.health import Health
from consumer.worker import ABORT_S
from tests.support.deploy.deploy_files import (
    BASE,
    CONTAINER,
    DEPLOY,
    DOCTOR,
    GPU,
    POD,
    SERVICES,
    all_yaml,
    compose_variables,
    env_file,
    kubernetes_variables,
    last,
    load,
    parsed,
)

#: Seconds between the worst end of a drain and the SIGKILL.
MARGIN_S = 5


@pytest.mark.parametrize("path", all_yaml(), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_yaml_is_a_mapping_without_tabs(path: Path) -> None:
    assert isinstance(parsed(path), dict)
    assert "\t" not in path.read_text(encoding="utf-8")


def test_compose_gives_the_worker_settings_that_are_right() -> None:
    settings = load(compose_variables("worker"))
    assert settings.bootstrap_servers == "kafka:19092"
    gpu = parsed(DEPLOY / "compose.gpu.yaml")["services"]["worker"]["environment"]
    assert load(compose_variables("worker") | gpu).device == "cuda"


def test_kubernetes_gives_the_worker_settings_that_are_right() -> None:
    assert load(kubernetes_variables()).instance == "nerstream-5d8-x7k"
    assert load(kubernetes_variables() | env_file(GPU / "settings.env")).device == "cuda"
    fields = [item["valueFrom"]["fieldRef"]["fieldPath"] for item in CONTAINER["env"]]
    assert fields == ["metadata.name"]


def test_every_variable_named_anywhere_is_a_setting() -> None:
    known = {f"NERSTREAM_{name.upper()}" for name in Settings.model_fields} | {"NERSTREAM_CONFIG"}
    for path in [path for path in DEPLOY.rglob("*") if path.is_file()]:
        for name in re.findall(r"NERSTREAM_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8")):
            assert name in known or name.startswith("NERSTREAM_KAFKA_"), f"{path}: {name}"


def test_kubernetes_threads_are_the_processors_asked_for() -> None:
    asked = CONTAINER["resources"]["requests"]["cpu"]
    assert load(kubernetes_variables()).threads == int(asked)


def test_compose_makes_the_topics_that_the_worker_uses() -> None:
    settings = load(compose_variables("worker"))
    script = SERVICES["topics"]["entrypoint"][-1]
    made = re.search(r"for topic in (.+); do", script)
    assert made is not None
    assert set(made[1].split()) == {
        *settings.input_topics,
        settings.output_topic,
        settings.dead_letter_topic,
    }


def test_the_grace_periods_outlast_the_drain() -> None:
    needed_s = load(kubernetes_variables()).shutdown_timeout_s + ABORT_S + MARGIN_S
    assert POD["terminationGracePeriodSeconds"] >= needed_s
    needed_s = load(compose_variables("worker")).shutdown_timeout_s + ABORT_S + MARGIN_S
    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) >= needed_s


def test_the_probes_ask_what_the_admin_server_answers() -> None:
    server = AdminServer("127.0.0.1", 0, CollectorRegistry(), lambda: Health(False, True))
    server.start()
    try:
        answers = {}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            get = CONTAINER[probe]["httpGet"]
            assert get["port"] == "admin"
            try:
                with urlopen(f"http://127.0.0.1:{server.port}{get['path']}", timeout=20) as answer:
                    answers[probe] = answer.status
            except HTTPError as error:
                answers[probe] = error.code
                error.close()
    finally:
        server.close()
    # A worker that is stalled but otherwise ready: who asks for life gets 503, not 404.
    assert answers == {"startupProbe": 503, "livenessProbe": 503, "readinessProbe": 200}


def test_every_port_is_the_admin_port() -> None:
    port = load(kubernetes_variables()).admin_port
    assert CONTAINER["ports"] == [{"name": "admin", "containerPort": port}]
    service = parsed(BASE / "service.yaml")
    assert service["spec"]["ports"] == [{"name": "admin", "port": port, "targetPort": "admin"}]
    notes = service["metadata"]["annotations"]
    assert notes["prometheus.io/port"] == str(port)
    assert notes["prometheus.io/path"] == "/metrics"
    assert last("EXPOSE") == str(port)
    port = load(compose_variables("worker")).admin_port
    assert [spec.rsplit(":", 1)[1] for spec in SERVICES["worker"]["ports"]] == [str(port)]


def test_the_doctor_looks_with_the_settings_of_the_worker() -> None:
    assert DOCTOR["args"] == SERVICES["doctor"]["command"] == ["doctor", "--no-model"]
    assert (DOCTOR["envFrom"], DOCTOR["env"]) == (CONTAINER["envFrom"], CONTAINER["env"])
    assert DOCTOR["securityContext"] == CONTAINER["securityContext"]
    # The model is left out.
    own = {"NERSTREAM_MODEL", "NERSTREAM_LOG_FORMAT"}
    worker = {k: v for k, v in compose_variables("worker").items() if k not in own}
    assert compose_variables("doctor") == worker
    needed = SERVICES["worker"]["depends_on"]["doctor"]["condition"]
    assert needed == "service_completed_successfully"
    assert SERVICES["doctor"]["image"] == SERVICES["worker"]["image"]
