"""The settings of the page on Kafka behind a door let a worker in, as they stand there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.contracts.choices import Delivery
from consumer.settings.access import TOPIC_OPERATIONS, spelled
from tests.integration.rigs.door_ground import DoorGround
from tests.integration.rigs.worker_process import WorkerProcess
from tests.integration.servers.secured_kafka import AUDIENCE, ISSUER, USER, USER_PASSWORD, Doors
from tests.support.servers.certificates import PASSWORD
from tests.support.servers.token_endpoint import CLIENT_ID, CLIENT_SECRET, TokenEndpoint

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "behind-a-door.md").read_text("utf-8")

#: What the page says is written in the same way as this.
WRITTEN, SAME = "SCRAM-SHA-512", ("SCRAM-SHA-256", "PLAIN")

BLOCKS = [
    block.replace(WRITTEN, mechanism)
    for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    for mechanism in ((WRITTEN, *SAME) if WRITTEN in block else (WRITTEN,))
]

LISTENERS = {"SSL": "TLS", "SASL_SSL": "SASL"}


def way(block: str) -> str:
    """What a block is about: a mechanism, or TLS of one or of both."""
    kafka = tomllib.loads(block)["kafka"]
    mechanism = kafka.get("sasl", {}).get("mechanism")
    return str(mechanism or ("mutual" if "certificate" in kafka["ssl"] else "TLS"))


@pytest.fixture(scope="module")
def secrets(doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's `/run/secrets`."""
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("ca.pem", "worker.pem", "worker.key"):
        (folder / name).write_bytes((doors.folder / name).read_bytes())
    for name, secret in (
        ("key-password", PASSWORD),
        ("kafka-password", USER_PASSWORD),
        ("client-secret", CLIENT_SECRET),
    ):
        (folder / name).write_text(f"{secret}\n")
    return folder


@pytest.fixture(scope="module")
def endpoint(doors: Doors) -> Iterator[TokenEndpoint]:
    claims = {"sub": USER, "aud": AUDIENCE, "iss": ISSUER}
    with TokenEndpoint(doors.signing_key, claims) as endpoint:
        yield endpoint


def test_the_page_has_each_way_in() -> None:
    assert [way(block) for block in BLOCKS] == [
        *("TLS", "mutual", "SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER")
    ]
    assert " and ".join(f"`{one}`" for one in SAME) + " are written in the same way" in PAGE
    assert f'"{USER}"' in PAGE
    assert f'"{CLIENT_ID}"' in PAGE


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("block", BLOCKS, ids=[way(block) for block in BLOCKS])
def test_each_block_lets_a_worker_in(
    block: str,
    delivery: Delivery,
    doors: Doors,
    secrets: Path,
    endpoint: TokenEndpoint,
    tmp_path: Path,
) -> None:
    text = block.replace("/run/secrets", str(secrets)).replace(
        "https://login.example.org/token", endpoint.url
    )
    config = tmp_path / "worker.toml"
    config.write_text(text)
    protocol = tomllib.loads(block)["kafka"]["security"]["protocol"]
    listener = "MUTUAL" if way(block) == "mutual" else LISTENERS[protocol]
    ground = DoorGround(doors)
    ground.put(3)
    settings = ground.settings(listener, {}, delivery=delivery.value, config=str(config))
    light = ("-m", "tests.faults.workers.light_worker")
    with WorkerProcess(settings, tmp_path, command=light) as worker:
        ground.await_all()
        assert worker.terminate() == 0, worker.log.read_text()
        log = worker.log.read_text()
    for secret in (USER_PASSWORD, CLIENT_SECRET):
        assert secret not in log


def test_what_the_page_says_is_asked_of_a_user() -> None:
    for setting, operations in TOPIC_OPERATIONS.items():
        row = next(line for line in PAGE.splitlines() if f"`{setting}`" in line and "|" in line)
        assert spelled(operations).replace(" and ", ", ") in row
