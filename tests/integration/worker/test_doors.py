"""A worker and the commands before Apache Kafka's doors: let in, kept out, and renewed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import ResourceType

from consumer import cli
from consumer.contracts.choices import Delivery
from tests.integration.rigs import helpers
from tests.integration.rigs.door_ground import DoorGround
from tests.integration.rigs.worker_process import WorkerProcess
from tests.integration.servers.secured_kafka import (
    AUDIENCE,
    ISSUER,
    NEEDS,
    USER,
    USER_PASSWORD,
    Doors,
)
from tests.support.servers.token_endpoint import TokenEndpoint

pytestmark = pytest.mark.kafka

LIGHT = ("-m", "tests.faults.workers.light_worker")


@pytest.fixture
def ground(doors: Doors) -> DoorGround:
    return DoorGround(doors)


@pytest.fixture
def tokens(doors: Doors) -> Iterator[Callable[..., TokenEndpoint]]:
    """Makes token endpoints; of whom they tell, and for how long."""
    made: list[TokenEndpoint] = []

    def make(lifetime_s: int = 3_600, **claims: str) -> TokenEndpoint:
        told = {"sub": USER, "aud": AUDIENCE, "iss": ISSUER, **claims}
        made.append(TokenEndpoint(doors.signing_key, told, lifetime_s).__enter__())
        return made[-1]

    yield make
    for one in made:
        one.__exit__()


def test_each_shut_door_is_told_in_one_sentence(
    ground: DoorGround, doors: Doors, tokens: Callable[..., TokenEndpoint]
) -> None:
    ground.put(1)
    tls, oauth = doors.tls(), doors.tls(security_protocol="SASL_SSL")
    foreign_ca = doors.tls(ssl_ca_location=str(doors.folder / "foreign-ca.pem"))
    open_sasl = {**doors.sasl(), "security.protocol": "SASL_PLAINTEXT"}
    endpoint = tokens()
    unheard = {**endpoint.properties(), "sasl.oauthbearer.token.endpoint.url": "http://127.0.0.1:1"}
    cases: Mapping[str, tuple[str, Mapping[str, str], str]] = {
        "wrong password": (
            "SASL",
            doors.sasl("PLAIN", password="wrong-password"),
            "do not let the user alice in by PLAIN: Authentication failed: Invalid username or "
            "password; check kafka.sasl.username and kafka.sasl.password, and that",
        ),
        "wrong user": (
            "SASL",
            doors.sasl("SCRAM-SHA-256", user="nobody"),
            "do not let the user nobody in by SCRAM-SHA-256: ",
        ),
        "mechanism of nobody": (
            "SASL",
            doors.sasl("GSSAPI"),
            "sasl.mechanism: GSSAPI is none that this client has; it must be one of PLAIN",
        ),
        "wrong client secret": (
            "SASL",
            oauth | endpoint.properties("wrong-secret"),
            f'{endpoint.url} gives no token: {{"error": "invalid_client", "error_description": '
            '"no such client"}; check kafka.sasl.oauthbearer.token.endpoint.url, ',
        ),
        "no token endpoint": (
            "SASL",
            oauth | unheard,
            "http://127.0.0.1:1 gives no token: Failed to connect",
        ),
        "token for others": (
            "SASL",
            oauth | tokens(aud="others").properties(),
            'do not take the token: {"status":"invalid_token"}; its issuer, audience, ',
        ),
        "expired": ("EXPIRED", tls, " expired on 20"),
        "wrong host": ("ELSEWHERE", tls, " is for elsewhere, not for localhost; take a name"),
        "foreign": ("TLS", foreign_ca, ' was issued by "ca", which is not in '),
        "no certificate of the client": (
            "MUTUAL",
            tls,
            " asks for a certificate of the client, and none is set; set kafka.ssl.certificate",
        ),
        "expired certificate of the client": (
            "MUTUAL",
            doors.mutual("old-worker"),
            "/old-worker.pem expired on 20",
        ),
        "foreign certificate of the client": (
            "MUTUAL",
            doors.mutual("foreign-worker"),
            '/foreign-worker.pem, issued by "foreign-ca" (',
        ),
        "wrong password of the key": (
            "MUTUAL",
            doors.mutual(password="wrong"),
            "/worker.key cannot be opened with this password; check kafka.ssl.key.password_file",
        ),
        "key of another": (
            "MUTUAL",
            doors.mutual() | {"ssl.key.location": str(doors.folder / "old-worker.key")},
            f"old-worker.key is not the key of {doors.folder}/worker.pem; give the two files",
        ),
        "no file": (
            "TLS",
            doors.tls(ssl_ca_location="/nowhere/ca.pem"),
            "ssl.ca.location: /nowhere/ca.pem cannot be read (No such file or directory); ",
        ),
        "TLS to a plain port": ("PLAIN", tls, " speaks no TLS, and kafka.security.protocol is SSL"),
        "plainly to TLS": ("TLS", {}, " speaks TLS, and kafka.security.protocol is PLAINTEXT"),
        "no user": ("SASL", tls, " asks for a user (SASL: PLAIN, "),
        "a user where none is asked for": ("TLS", doors.sasl(), " asks for no user (no SASL)"),
        "no user, no TLS": ("OPEN_SASL", {}, "set kafka.security.protocol=SASL_PLAINTEXT, kafka."),
        "a user, no TLS": ("PLAIN", open_sasl, " asks for no user (no SASL), and kafka.security"),
    }
    with ThreadPoolExecutor(len(cases)) as pool:
        said = dict(
            zip(
                cases,
                pool.map(lambda one: ground.refusal(one[0], one[1]), cases.values()),
                strict=True,
            )
        )
    unclear = {name: said[name] for name, (_, _, told) in cases.items() if told not in said[name]}
    assert unclear == {}
    for text in said.values():
        assert "\n" not in text
        assert "; " in text, "no word of what would be right"
    assert (
        helpers.committed_offsets(doors.plain, ground.names["group"], ground.names["input"]) == {}
    )


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_each_operation_that_is_not_allowed_is_named_with_the_command_that_allows_it(
    ground: DoorGround, doors: Doors, delivery: str
) -> None:
    needs = [one for one in NEEDS if delivery == "exactly_once" or one != "transactional id"]
    users = {}
    for missing in needs:
        allowed = {need: name for need, name in ground.names.items() if need != missing}
        users[missing] = doors.new_user(allowed)
    # May see what it may not write.
    users["only seen"] = doors.new_user({k: v for k, v in ground.names.items() if k != "dead"})
    kind, (_, describe) = NEEDS["dead"]
    doors.allow(users["only seen"], ground.names["dead"], kind, [describe])
    with ThreadPoolExecutor(len(users)) as pool:
        said = dict(
            zip(
                users,
                pool.map(
                    lambda user: ground.refusal("SASL", doors.sasl(user=user), delivery=delivery),
                    users.values(),
                ),
                strict=True,
            )
        )
    group, dead = ground.names["group"], ground.names["dead"]
    expected = {
        "input": f"Read and Describe the topic {ground.names['input']} (input_topics); ",
        "output": f"Write and Describe the topic {ground.names['output']} (output_topic); ",
        "dead": f"Write and Describe the topic {dead} (dead_letter_topic); ",
        "only seen": f"Write the topic {dead} (dead_letter_topic); ",
        "group": f"Read the group {group} (group_id); ",
        "transactional id": f"use the transactional id {group}@one; ",
    }
    for missing, user in users.items():
        assert said[missing].startswith(
            f"the user {user} may not {expected[missing]}"
            f"kafka-acls.sh --add --allow-principal User:{user} "
        ), said[missing]
    everything = doors.new_user({need: ground.names[need] for need in needs})
    assert ground.refusal("SASL", doors.sasl(user=everything), delivery=delivery) == ""


def test_a_worker_that_is_kept_out_ends_with_1_in_one_line_and_loses_nothing(
    ground: DoorGround, doors: Doors, tmp_path: Path
) -> None:
    ground.put(1)
    shut = ground.settings("SASL", doors.sasl(password="wrong-password"))
    with WorkerProcess(shut, tmp_path, command=LIGHT) as worker:
        assert worker.wait() == 1
        log = worker.log.read_text()
    told = [line for line in log.splitlines() if line.startswith("nerstream: error: ")]
    assert len(told) == 1
    assert "do not let the user alice in by SCRAM-SHA-512" in told[0]
    assert "Traceback" not in log
    assert "wrong-password" not in log
    with WorkerProcess(ground.settings("SASL", doors.sasl()), tmp_path, command=LIGHT) as worker:
        ground.await_all()
        assert worker.terminate() == 0


def test_doctor_says_the_same(
    ground: DoorGround,
    doors: Doors,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_group = {need: name for need, name in ground.names.items() if need != "group"}
    user = doors.new_user(without_group)
    for listener, kafka, check, text, remedy in (
        ("ELSEWHERE", doors.tls(), "bootstrap", "is for elsewhere, not for", "take a name that"),
        (
            "SASL",
            doors.sasl(password="wrong-password"),
            "bootstrap",
            "do not let the user alice in by SCRAM-SHA-512",
            "check kafka.sasl.username and kafka.sasl.password",
        ),
        (
            "SASL",
            doors.sasl(user=user),
            "group",
            f"this user may not Read the group {ground.names['group']}",
            f"kafka-acls.sh --add --allow-principal User:{user} --group ",
        ),
    ):
        with monkeypatch.context() as patch:
            told_to(patch, ground.settings(listener, kafka))
            assert cli.main(["doctor", "--json", "--no-model"]) == 1
        out, err = capsys.readouterr()
        found = {one["check"]: one for one in map(json.loads, out.splitlines())}
        assert text in found[check]["text"], out
        assert remedy in found[check]["remedy"]
        assert "wrong-password" not in out + err


def test_doctor_finds_all_well_behind_a_certificate(
    ground: DoorGround,
    doors: Doors,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ground.put(20)
    # Until a producer has asked for transactions, and a group for its offsets, the brokers have no
    # topics of them to be looked at.
    transactions = helpers.producer(doors.plain, transactional_id=ground.names["transactional id"])
    helpers.patiently(lambda: transactions.init_transactions(30))
    helpers.patiently(
        lambda: helpers.committed_offsets(doors.plain, ground.names["group"], ground.names["input"])
    )
    told_to(monkeypatch, ground.settings("MUTUAL", doors.mutual()))
    assert cli.main(["doctor", "--json", "--no-model", "--sample", "10"]) == 0
    out, err = capsys.readouterr()
    found = {one["check"]: one for one in map(json.loads, out.splitlines())}
    assert "red" not in {one["status"] for one in found.values()}, out
    # The certificates of these tests are of a day.
    assert found["certificate"]["status"] == "yellow"
    assert "the client's certificate ends on" in found["certificate"]["text"]
    for check, text in (
        ("listeners", doors.at("MUTUAL")),
        ("topics", "Read and Describe on the input; Write and Describe on what is written"),
        ("group", f"Read on the group {ground.names['group']}"),
        ("transactional id", "Write on the transactional id"),
        ("rejections", "none of 10 messages would be rejected"),
    ):
        assert (found[check]["status"], text in found[check]["text"]) == ("green", True), out
    assert "Traceback" not in err


def test_the_commands_come_in_by_the_same_doors(
    ground: DoorGround,
    doors: Doors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told_to(monkeypatch, ground.settings("SASL", doors.sasl()))
    file = tmp_path / "articles.jsonl"
    file.write_text('{"id": "0", "title": "Oslo"}\n')
    assert cli.main(["produce", str(file), f"--topic={ground.names['input']}"]) == 0
    assert cli.main(["doctor", "--json", "--no-model"]) == 0
    assert cli.main(["dead-letters", "list"]) == 0
    # Not one article is tagged yet.
    assert cli.main(["audit"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("NERSTREAM_KAFKA_SASL_PASSWORD", "wrong-password")
    for command in (
        ["produce", str(file), f"--topic={ground.names['input']}"],
        ["dead-letters", "list"],
        ["audit"],
    ):
        assert cli.main(command) == 1
        err = capsys.readouterr().err
        assert "do not let the user alice in by SCRAM-SHA-512" in err
        assert "Traceback" not in err
        assert "wrong-password" not in err


def test_a_topic_that_may_be_seen_and_not_written_is_told_by_produce(
    ground: DoorGround,
    doors: Doors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    user = doors.new_user()
    kind, (_, describe) = NEEDS["output"]
    doors.allow(user, ground.names["output"], kind, [describe])
    told_to(monkeypatch, ground.settings("SASL", doors.sasl(user=user)))
    file = tmp_path / "articles.jsonl"
    file.write_text('{"id": "0"}\n')
    assert cli.main(["produce", str(file), f"--topic={ground.names['output']}"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    # Brokers look for this first; what is asked for is on the cluster, or Write on any topic.
    assert "Cluster authorization failed" in err
    assert "allow this user to write the topic" in err


@pytest.mark.parametrize("kind", [ResourceType.TOPIC, ResourceType.GROUP])
def test_an_operation_that_is_taken_away_ends_a_worker_in_one_sentence(
    ground: DoorGround, doors: Doors, tmp_path: Path, kind: ResourceType
) -> None:
    user = doors.new_user(ground.names)
    # One that may not use its group cannot leave it either: the next one waits for its session.
    kafka = doors.sasl(user=user) | {"session.timeout.ms": "5000"}
    settings = ground.settings("SASL", kafka)
    with WorkerProcess(settings, tmp_path, command=LIGHT) as worker:
        ground.put(3)
        ground.await_all()
        doors.deny(user, kind)
        ground.put(1)
        assert worker.wait() == 1
        log = worker.log.read_text()
    (told,) = [line for line in log.splitlines() if line.startswith("nerstream: error: ")]
    assert "uthorization failed" in told
    assert "; allow this user " in told
    assert "Traceback" not in log
    # The article that came too late for it is the next worker's.
    with WorkerProcess(ground.settings("SASL", doors.sasl()), tmp_path, command=LIGHT) as worker:
        ground.await_all()
        assert worker.terminate() == 0


def test_a_password_is_rotated_in_mid_run(doors: Doors, tmp_path: Path) -> None:
    grounds = {delivery: DoorGround(doors) for delivery in Delivery}
    user = doors.new_user()
    for ground in grounds.values():
        for need, name in ground.names.items():
            doors.allow(user, name, *NEEDS[need])
    file = tmp_path / "password"
    file.write_text(f"{USER_PASSWORD}\n")
    kafka = {**doors.sasl(user=user), "sasl.password_file": str(file)}
    del kafka["sasl.password"]
    # On this listener a session ends after 3 s: then the password is asked for again.
    with working(grounds, "SHORT", kafka, tmp_path) as workers:
        doors.set_password(user, "the-new-password")
        for worker in workers:
            worker.wait_until(partial(refused, worker), "a session has ended")
        (tmp_path / "next").write_text("the-new-password\n")
        (tmp_path / "next").replace(file)
    for worker in workers:
        log = worker.log.read_text()
        assert "the password in kafka.sasl.password_file has changed; it is used from now" in log
        assert "the-new-password" not in log


def refused(worker: WorkerProcess) -> bool:
    return "Authentication failed" in worker.log.read_text()


def test_tokens_are_renewed_in_mid_run(
    doors: Doors, tokens: Callable[..., TokenEndpoint], tmp_path: Path
) -> None:
    endpoint = tokens(lifetime_s=4)
    grounds = {delivery: DoorGround(doors) for delivery in Delivery}
    kafka = doors.tls(security_protocol="SASL_SSL") | endpoint.properties()
    with working(grounds, "SHORT", kafka, tmp_path) as (worker, _):
        given = len(endpoint.tokens)
        # Each of some four clients of each of two workers fetches its own.
        worker.wait_until(lambda: len(endpoint.tokens) >= given + 10, "new tokens")


@contextmanager
def working(
    grounds: Mapping[Delivery, DoorGround], listener: str, kafka: Mapping[str, str], folder: Path
) -> Iterator[list[WorkerProcess]]:
    """A worker for each mode of delivery, that has work before what is done within and after it;
    each article comes out once and in order, and the worker ends well."""
    with ExitStack() as stack:
        workers = []
        for delivery, ground in grounds.items():
            settings = ground.settings(listener, kafka, delivery=delivery.value)
            workers.append(
                stack.enter_context(WorkerProcess(settings, folder, delivery.value, LIGHT))
            )
            ground.put(3)
        for ground in grounds.values():
            ground.await_all()
        yield workers
        for ground in grounds.values():
            ground.put(3)
        for worker, ground in zip(workers, grounds.values(), strict=True):
            ground.await_all()
            assert worker.terminate() == 0, worker.log.read_text()


def test_the_broker_s_certificate_is_renewed_in_mid_run(
    ground: DoorGround, doors: Doors, tmp_path: Path
) -> None:
    # Connections that have nothing to do end, so that there are new ones.
    kafka = doors.tls(connections_max_idle_ms="2000")

    def refusals() -> int:
        return worker.log.read_text().count("certificate verify failed")

    with WorkerProcess(ground.settings("RENEWED", kafka), tmp_path, command=LIGHT) as worker:
        ground.put(1)
        ground.await_all()
        doors.show_certificate("RENEWED", doors.folder / "renewed.pem")
        time.sleep(3)
        ground.put(1)
        ground.await_all()
        assert refusals() == 0
        # One of another authority keeps the worker out, which waits and loses nothing.
        doors.show_certificate("RENEWED", doors.folder / "foreign.pem")
        time.sleep(3)
        ground.put(1)
        worker.wait_until(lambda: refusals() > 0, "it is refused")
        doors.show_certificate("RENEWED", doors.folder / "server.pem")
        ground.await_all()
        assert worker.terminate() == 0, worker.log.read_text()


def told_to(patch: pytest.MonkeyPatch, settings: Mapping[str, Any]) -> None:
    """Give these settings as variables."""
    for name in [one for one in os.environ if one.startswith("NERSTREAM_")]:
        patch.delenv(name)
    for name, value in settings.items():
        entries = {f"kafka_{key}": one for key, one in value.items()} if name == "kafka" else {}
        for key, one in (entries or {name: value}).items():
            patch.setenv(f"NERSTREAM_{key}".upper().replace(".", "_"), str(one))
