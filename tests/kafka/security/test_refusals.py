"""What a person is told of files, mechanisms, users and tokens, from what librdkafka says."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from consumer.contracts.errors import SettingsError
from consumer.kafka.client_check import check_clients
from consumer.kafka.security import refusals
from consumer.kafka.security.refusals import authentication_problem, reason_of
from consumer.settings.schema import Settings
from tests.support.servers.certificates import PASSWORD, Authority


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "sasl_ssl://host:9093/bootstrap: SASL authentication error: No (after 3ms in state "
            "AUTH_REQ, 1 identical error(s) suppressed)",
            "SASL authentication error: No",
        ),
        (
            "host:9093/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused "
            "(after 0ms in state CONNECT)",
            "Connect to ipv4#127.0.0.1:1 failed: Connection refused",
        ),
        (
            "Failed to acquire SASL OAUTHBEARER token: x.",
            "Failed to acquire SASL OAUTHBEARER token: x",
        ),
    ],
)
def test_the_reason_is_told_without_the_client_s_own_names(said: str, reason: str) -> None:
    assert reason_of(KafkaError(KafkaError._AUTHENTICATION, said)) == reason


def problem_of(said: str, **kafka: str) -> str:
    given = {name.replace("_", "."): value for name, value in kafka.items()}
    settings = Settings(bootstrap_servers="host:9093", kafka=given)
    return authentication_problem(settings, KafkaError(KafkaError._AUTHENTICATION, said))


@pytest.fixture
def shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """No door is tried."""
    monkeypatch.setattr(refusals, "refusal", lambda _: "")


@pytest.mark.usefixtures("shut")
def test_a_user_that_is_not_let_in(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text("x")
    settings = Settings(
        bootstrap_servers="host:9093",
        kafka={
            "sasl.mechanisms": "PLAIN",
            "sasl.username": "alice",
            "sasl.password_file": str(file),
        },
    )
    error = KafkaError(KafkaError._AUTHENTICATION, "a://b:1/1: SASL authentication error: No.")
    assert authentication_problem(settings, error) == (
        "the brokers at host:9093 do not let the user alice in by PLAIN: No; check "
        "kafka.sasl.username and kafka.sasl.password_file, and that the brokers know this user "
        "under PLAIN"
    )


@pytest.mark.usefixtures("shut")
def test_a_token_that_is_not_given_and_one_that_is_not_taken() -> None:
    url = "http://login/token"
    said = problem_of(
        "Failed to acquire SASL OAUTHBEARER token: gone",
        sasl_oauthbearer_token_endpoint_url=url,
        sasl_oauthbearer_client_credentials_client_secret="x",
    )
    assert said == (
        f"{url} gives no token: gone; check kafka.sasl.oauthbearer.token.endpoint.url, "
        "kafka.sasl.oauthbearer.client.id and "
        "kafka.sasl.oauthbearer.client.credentials.client.secret"
    )
    said = problem_of('SASL authentication error: {"status":"x"}', sasl_mechanism="OAUTHBEARER")
    assert said.startswith('the brokers at host:9093 do not take the token: {"status":"x"}; its ')


def test_a_door_that_is_shut_for_all_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "refusal", lambda _: "it has no SASL; take another port")
    assert problem_of("SASL authentication error: No") == "it has no SASL; take another port"


def fault(**kafka: str) -> str:
    given = {name.replace("_", "."): value for name, value in kafka.items()}
    with pytest.raises(SettingsError) as raised:
        check_clients(Settings(kafka=given))
    return str(raised.value)


def test_files_that_will_not_do(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine, key = map(str, authority.issue("worker", password=PASSWORD))
    _, other = map(str, authority.issue("other", password=PASSWORD))
    text = tmp_path / "text"
    text.write_text("no certificate")
    tls = {
        "security_protocol": "SSL",
        "ssl_certificate_location": mine,
        "ssl_key_location": key,
        "ssl_key_password": PASSWORD,
    }
    check_clients(Settings(kafka={name.replace("_", "."): value for name, value in tls.items()}))
    assert fault(**tls | {"ssl_key_location": "/nowhere"}) == (
        "kafka.ssl.key.location: /nowhere cannot be read (No such file or directory); name a file "
        "that this user can read"
    )
    assert fault(**tls | {"ssl_key_password": "wrong"}) == (
        f"kafka.ssl.key.location: {key} cannot be opened with this password; check "
        "kafka.ssl.key.password_file, and that it is a key in PEM"
    )
    del tls["ssl_key_password"]
    assert " cannot be opened without a password; " in fault(**tls)
    tls["ssl_key_password"] = PASSWORD
    assert fault(**tls | {"ssl_key_location": other}) == (
        f"kafka.ssl.key.location: {other} is not the key of {mine}; give the two files that belong "
        "together"
    )
    assert fault(**tls | {"ssl_certificate_location": str(text)}) == (
        f"kafka.ssl.certificate.location: {text} holds no certificate; name a file in PEM"
    )
    assert fault(security_protocol="SSL", ssl_ca_location=str(text)) == (
        f"kafka.ssl.ca.location: {text} holds no certificate; name a file in PEM"
    )


def test_a_file_of_a_secret_that_is_missing_is_found_before_anything_starts() -> None:
    sasl = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}
    given = {name.replace("_", "."): value for name, value in sasl.items()}
    given |= {"sasl.username": "alice", "sasl.password_file": "/nowhere"}
    with pytest.raises(SettingsError, match=r"^kafka\.sasl\.password_file: /nowhere cannot be"):
        check_clients(Settings(kafka=given))


def test_mechanisms_that_this_client_has_not() -> None:
    known = "it must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"
    assert fault(security_protocol="SASL_SSL", sasl_mechanisms="NONE") == (
        f"kafka.sasl.mechanisms: NONE is none that this client has; {known}"
    )
    assert fault(security_protocol="SASL_SSL") == (
        "kafka.security.protocol: SASL_SSL asks for kafka.sasl.mechanism, which is missing; "
        f"{known}"
    )
