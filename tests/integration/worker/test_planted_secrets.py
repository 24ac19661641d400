"""One secret of each kind is planted; it must come out nowhere, however much is told."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.rigs.door_ground import DoorGround
from tests.integration.rigs.worker_process import PATIENCE_S, WorkerProcess
from tests.integration.servers.lifetime import spawn
from tests.integration.servers.secured_kafka import AUDIENCE, ISSUER, USER, USER_PASSWORD, Doors
from tests.support.servers.certificates import PASSWORD
from tests.support.servers.registry_proxy import RegistryProxy
from tests.support.servers.token_endpoint import CLIENT_ID, CLIENT_SECRET, TokenEndpoint

pytestmark = pytest.mark.kafka

LIGHT = ("-m", "tests.faults.workers.light_worker")

REGISTRY_PASSWORD, REGISTRY_TOKEN = "the-registry-s-password", "the-registry-s-token"
HUB_TOKEN = "hf_planted-token-of-the-hub"
TRACES_PASSWORD, TRACES_TOKEN = "the-collector-s-password", "the-collector-s-token"
ADMIN_PASSWORD, ADMIN_TOKEN = "the-admin-s-password", "the-admin-s-token"

#: All of them, and the forms in which one travels.
SECRETS = (
    *(USER_PASSWORD, PASSWORD, CLIENT_SECRET, REGISTRY_PASSWORD, REGISTRY_TOKEN, HUB_TOKEN),
    *(ADMIN_PASSWORD, ADMIN_TOKEN, TRACES_PASSWORD, TRACES_TOKEN),
    base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode(),
    base64.b64encode(f"me:{REGISTRY_PASSWORD}".encode()).decode(),
    base64.b64encode(f"\0{USER}\0{USER_PASSWORD}".encode()).decode(),
)


def found_in(texts: Mapping[str, str], secrets: tuple[str, ...] = SECRETS) -> set[tuple[str, str]]:
    """Which secrets stand in which texts."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    return {(form, name) for name, text in texts.items() for form in forms if form in text}


@pytest.fixture
def variables(doors: Doors, tmp_path: Path) -> dict[str, str]:
    """What each process has: every secret, as a variable or in a file."""
    file = tmp_path / "kafka-password"
    file.write_text(f"{USER_PASSWORD}\n")
    credentials = tmp_path / "admin-credentials"
    credentials.write_text(f"watcher:{ADMIN_PASSWORD}\n{ADMIN_TOKEN}\n")
    return {
        "NERSTREAM_ADMIN_CREDENTIALS_FILE": str(credentials),
        "NERSTREAM_KAFKA_SASL_USERNAME": USER,
        "NERSTREAM_KAFKA_SASL_PASSWORD_FILE": str(file),
        "NERSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "NERSTREAM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "NERSTREAM_KAFKA_SSL_CA_LOCATION": str(doors.ca),
        "NERSTREAM_KAFKA_SSL_CERTIFICATE_LOCATION": str(doors.folder / "worker.pem"),
        "NERSTREAM_KAFKA_SSL_KEY_LOCATION": str(doors.folder / "worker.key"),
        "NERSTREAM_KAFKA_SSL_KEY_PASSWORD": PASSWORD,
        "NERSTREAM_KAFKA_DEBUG": "all",
        "NERSTREAM_REGISTRY_URL": f"http://me:{REGISTRY_PASSWORD}@127.0.0.1:1",
        "NERSTREAM_REGISTRY_BEARER_AUTH_TOKEN": REGISTRY_TOKEN,
        "NERSTREAM_REGISTRY_BASIC_AUTH_USER_INFO": f"me:{REGISTRY_PASSWORD}",
        "NERSTREAM_LOG_LEVEL": "debug",
        "HF_TOKEN": HUB_TOKEN,
    }


@pytest.fixture
def endpoint(doors: Doors) -> Iterator[TokenEndpoint]:
    claims = {"sub": USER, "aud": AUDIENCE, "iss": ISSUER}
    with TokenEndpoint(doors.signing_key, claims) as endpoint:
        yield endpoint


def command_lines(pid: int) -> str:
    """Of a process and its children."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    pids = [pid, *(int(one) for task in tasks for one in task.read_text().split())]
    return "\n".join(Path(f"/proc/{one}/cmdline").read_text() for one in pids)


def told_by(ground: DoorGround, tmp_path: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """All that a worker that works tells, at every place where it tells anything."""
    settings = ground.settings("SASL", {})
    with WorkerProcess(
        settings, tmp_path, command=LIGHT, variables=variables, warm=False
    ) as worker:
        ground.put(1)
        ground.await_all()
        worker.wait_ready()
        pages = ("/", "/metrics", "/healthz", "/readyz", "/nowhere")
        texts = {page: worker.get(page, ADMIN_TOKEN)[1] for page in pages}
        texts |= {f"{page}, unknown": worker.get(page)[1] for page in pages}
        texts["command line"] = command_lines(worker.process.pid)
        assert worker.terminate() == 0, worker.log.read_text()[-4_000:]
        texts["log"] = worker.log.read_text("utf-8", "replace")
    assert "nerstream_" in texts["/metrics"]
    return texts


def run(*command: str, variables: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """All that a command prints; it may end as it likes."""
    named = {f"NERSTREAM_{name}".upper(): str(value) for name, value in settings.items()}
    del named["NERSTREAM_KAFKA"]
    with spawn(
        [sys.executable, "-m", "consumer", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **named, **variables},
    ) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in (0, 1, 2), out[-4_000:]
    return bytes(out).decode("utf-8", "replace")


def test_a_worker_and_the_commands_show_no_password(
    doors: Doors, tmp_path: Path, variables: dict[str, str]
) -> None:
    ground = DoorGround(doors)
    texts = told_by(ground, tmp_path, variables)
    assert "SASL" in texts["log"], "librdkafka tells nothing"
    assert '"sasl.password_file"' in texts["log"], "the settings are not told"
    settings = ground.settings("SASL", {})
    file = tmp_path / "articles.jsonl"
    file.write_text('{"id": "a", "title": "Oslo"}\n')
    topic = f"--topic={ground.names['input']}"
    for name, command in {
        "doctor": ("doctor", "--no-model"),
        "doctor --json": ("doctor", "--no-model", "--json"),
        "produce": ("produce", str(file), topic),
        "a wrong setting": ("run", "--kafka", "ssl.key.password_file=/nowhere", "--batch-tokens=x"),
        "a secret as a flag": ("run", "--kafka", f"sasl.password={USER_PASSWORD}"),
    }.items():
        texts[name] = run(*command, variables=variables, settings=settings)
    assert "a secret on the command line is seen by everybody" in texts["a secret as a flag"]
    assert found_in(texts) == set()


def test_a_worker_that_fails_shows_no_password(
    doors: Doors, tmp_path: Path, variables: dict[str, str]
) -> None:
    ground = DoorGround(doors)
    with RegistryProxy("http://127.0.0.1:1") as registry:
        registry.answer = 401, b'{"error_code": 401, "message": "Unauthorized"}'
        refused = variables | {
            "NERSTREAM_INPUT_FORMAT": "avro",
            "NERSTREAM_REGISTRY_URL": registry.url.replace("://", f"://me:{REGISTRY_PASSWORD}@"),
            "NERSTREAM_REGISTRY_BEARER_AUTH_CREDENTIALS_SOURCE": "STATIC_TOKEN",
            "NERSTREAM_REGISTRY_BEARER_AUTH_LOGICAL_CLUSTER": "a",
            "NERSTREAM_REGISTRY_BEARER_AUTH_IDENTITY_POOL_ID": "b",
        }
        del refused["NERSTREAM_REGISTRY_BASIC_AUTH_USER_INFO"]
        texts = {}
        for name, changes in {
            "by the registry": refused,
            "by the brokers": variables | {"NERSTREAM_KAFKA_SASL_USERNAME": "nobody"},
            "by a wrong property": variables | {"NERSTREAM_KAFKA_SASL_MECHANISM": "NONE"},
            "by a wrong key": variables | {"NERSTREAM_KAFKA_SSL_KEY_PASSWORD": f"{PASSWORD}x"},
        }.items():
            settings = ground.settings("SASL", {})
            ground.put(1)
            with WorkerProcess(
                settings, tmp_path, command=LIGHT, variables=changes, warm=False
            ) as worker:
                assert worker.wait() in (1, 2)
                texts[name] = worker.log.read_text("utf-8", "replace")
    assert found_in(texts) == set()


def test_a_worker_with_a_token_shows_neither_it_nor_what_it_is_for(
    doors: Doors, tmp_path: Path, variables: dict[str, str], endpoint: TokenEndpoint
) -> None:
    for name in ("SASL_USERNAME", "SASL_PASSWORD_FILE", "SASL_MECHANISM"):
        del variables[f"NERSTREAM_KAFKA_{name}"]
    for name, value in endpoint.properties().items():
        variables[f"NERSTREAM_KAFKA_{name}".upper().replace(".", "_")] = value
    with RegistryProxy("http://127.0.0.1:1") as collector:
        collector.answer = 401, b"no"
        address = collector.url.replace("://", f"://me:{TRACES_PASSWORD}@")
        variables |= {
            "NERSTREAM_TRACES": "on",
            "NERSTREAM_TRACES_SHARE": "1",
            "NERSTREAM_TRACES_ENDPOINT": address,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-token={TRACES_TOKEN}",
        }
        texts = told_by(DoorGround(doors), tmp_path, variables)
        assert collector.authorizations, "no spans were sent"
    assert endpoint.tokens
    assert found_in(texts, (*SECRETS, *endpoint.tokens)) == set()


#: What a worker does first where its model is on the hub, without what comes after it.
LOOK = """
import logging
from consumer.contracts.errors import ModelError
from consumer.telemetry.logs import configure_logging
configure_logging("json", "debug")
from consumer.tagging.model.folder import find_model_folder
try:
    find_model_folder("nobody/nothing", "")
except ModelError as failure:
    logging.getLogger("test").error("%s", failure, exc_info=failure)
"""


@pytest.mark.parametrize("status", [401, 500])
def test_a_hub_that_refuses_shows_no_token(tmp_path: Path, status: int) -> None:
    with RegistryProxy("http://127.0.0.1:1") as hub:
        hub.answer = status, b'{"error": "no"}'
        done = subprocess.run(
            [sys.executable, "-c", LOOK],
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
            env={
                **os.environ,
                "HF_TOKEN": HUB_TOKEN,
                "HF_ENDPOINT": hub.url,
                "HF_HOME": str(tmp_path),
                "HF_DEBUG": "1",
            },
        )
    out = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "nobody/nothing" in out
    assert "Traceback" in out
    assert any(HUB_TOKEN in one for one in hub.authorizations), "the token is not used"
    assert found_in({"log": out}) == set()


def test_the_search_finds_what_is_there() -> None:
    text = {"log": f"user me:{quote(REGISTRY_PASSWORD)} {SECRETS[-1]}"}
    assert {name for _, name in found_in(text)} == {"log"}
    assert len(found_in(text)) == 2
