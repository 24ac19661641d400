"""Why a door is shut, told in a sentence; doors of TLS and SASL, without brokers behind them."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from consumer.kafka.security.handshake import Handshake
from tests.support.servers.certificates import PASSWORD, Authority
from tests.support.servers.door_server import DoorServer


class Ground:
    """An authority, a foreign one, and contexts of servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.stranger = Authority(folder), Authority(folder, "foreign-ca")
        self.tls = {"security.protocol": "SSL", "ssl.ca.location": str(self.authority.file)}

    def context(
        self, name: str = "localhost", *, expired: bool = False, asks: bool = False
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue(name, file="server", expired=expired))
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority.file)
        return context

    def client(self, *, foreign: bool = False, expired: bool = False) -> dict[str, str]:
        signer = self.stranger if foreign else self.authority
        certificate, key = signer.issue("worker", password=PASSWORD, expired=expired)
        return self.tls | {
            "ssl.certificate.location": str(certificate),
            "ssl.key.location": str(key),
            "ssl.key.password": PASSWORD,
        }


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def refusal(server: DoorServer, properties: dict[str, str]) -> str:
    return Handshake(properties).refusal([server.address])


SASL = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}


def test_an_open_door_is_no_refusal(ground: Ground) -> None:
    with DoorServer() as plain:
        assert refusal(plain, {}) == ""
    with DoorServer(mechanisms=("PLAIN",)) as sasl:
        assert refusal(sasl, SASL) == ""
    with DoorServer(ground.context()) as tls:
        assert refusal(tls, ground.tls) == ""
    with DoorServer(ground.context(asks=True)) as mutual:
        assert refusal(mutual, ground.client()) == ""


def test_a_certificate_that_has_expired(ground: Ground) -> None:
    with DoorServer(ground.context(expired=True)) as server:
        said = refusal(server, ground.tls)
        where = f"localhost:{server.address[1]}"
    assert said.startswith(f"the certificate of {where} expired on 20")
    assert said.endswith("UTC; renew it on the broker; or this machine's clock is wrong")


def test_a_certificate_for_another_host(ground: Ground) -> None:
    with DoorServer(ground.context("elsewhere")) as server:
        said = refusal(server, ground.tls)
        unasked = ground.tls | {"ssl.endpoint.identification.algorithm": "none"}
        assert refusal(server, unasked) == ""
    assert " is for elsewhere, not for localhost; take a name that is in it" in said


def test_an_authority_that_is_not_known(ground: Ground) -> None:
    with DoorServer(ground.context()) as server:
        foreign = ground.tls | {"ssl.ca.location": str(ground.stranger.file)}
        said = refusal(server, foreign)
        assert f'was issued by "ca", which is not in {ground.stranger.file}' in said
        assert said.endswith("the authority that the brokers' certificates are from")
        machine = {"security.protocol": "ssl"}
        assert 'was issued by "ca", which this machine does not know' in refusal(server, machine)
        anything = machine | {"enable.ssl.certificate.verification": "false"}
        assert refusal(server, anything) == ""


def test_a_certificate_of_the_client_that_is_missing_or_not_taken(ground: Ground) -> None:
    with DoorServer(ground.context(asks=True)) as server:
        assert " asks for a certificate of the client, and none is set; set " in refusal(
            server, ground.tls
        )
        old = ground.client(expired=True)
        said = refusal(server, old)
        assert f"the client's certificate {old['ssl.certificate.location']} expired on 20" in said
        said = refusal(server, ground.client(foreign=True))
    assert "does not take the client's certificate" in said
    assert 'issued by "foreign-ca" (' in said
    assert "take one of an authority that the brokers trust" in said


def test_tls_where_there_is_none_and_the_reverse(ground: Ground) -> None:
    with DoorServer() as plain:
        assert " speaks no TLS, and kafka.security.protocol is SSL; name the port" in refusal(
            plain, ground.tls
        )
    with DoorServer(ground.context(asks=True)) as tls:
        said = refusal(tls, {})
        assert " speaks TLS, and kafka.security.protocol is PLAINTEXT; set it to SSL, or " in said
        assert refusal(tls, SASL).endswith("is SASL_PLAINTEXT; set it to SASL_SSL")


def test_a_user_where_none_is_asked_for_and_the_reverse() -> None:
    with DoorServer() as without:
        assert " asks for no user (no SASL), and kafka.security.protocol is SASL" in refusal(
            without, SASL
        )
    with DoorServer(mechanisms=("PLAIN", "SCRAM-SHA-512")) as asks:
        said = refusal(asks, {})
        assert " asks for a user (SASL: PLAIN, SCRAM-SHA-512), and " in said
        assert "set kafka.security.protocol=SASL_PLAINTEXT, kafka.sasl.mechanism, " in said
        said = refusal(asks, SASL | {"sasl.mechanism": "OAUTHBEARER"})
    assert said.endswith(
        " does not have kafka.sasl.mechanism=OAUTHBEARER; it has PLAIN, SCRAM-SHA-512: take one "
        "of these"
    )


@pytest.mark.parametrize(
    "babble", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\4\0\0\0\0", b"\0"]
)
def test_nothing_is_said_of_what_is_no_kafka(ground: Ground, babble: bytes) -> None:
    with DoorServer(babble=babble) as server:
        assert refusal(server, {}) == ""
        assert refusal(server, ground.tls) == ""


def test_nothing_is_said_of_what_is_away_nor_where_another_address_lets_in(ground: Ground) -> None:
    with socket.socket() as nobody, DoorServer() as server:
        nobody.bind(("127.0.0.1", 0))
        away = ("localhost", nobody.getsockname()[1])
        assert Handshake({}).refusal([away]) == ""
        assert Handshake({}).refusal([]) == ""
        with DoorServer(ground.context()) as other:
            assert Handshake({}).refusal([other.address, server.address]) == ""


def test_an_encrypted_key_without_its_password_asks_nobody(ground: Ground) -> None:
    with DoorServer(ground.context(asks=True)) as server:
        assert refusal(server, ground.client() | {"ssl.key.password": "wrong"}) == ""
