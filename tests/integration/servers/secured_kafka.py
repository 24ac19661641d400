"""Apache Kafka behind doors: one broker with a listener for each way to be let in, or not to."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from joserfc import jwk

from tests.integration.rigs.helpers import CALL_TIMEOUT_S, admin
from tests.integration.servers.kafka_server import STEADY, KafkaServer, free_ports
from tests.support.servers.certificates import PASSWORD, Authority

#: A user who may do everything, and the password under every mechanism that has one.
USER, USER_PASSWORD = "alice", "alice-s-password"

#: Whom a token must be for, and who must have signed it.
AUDIENCE, ISSUER = "kafka", "http://issuer.test"

#: Each listener: its protocol, the certificate that it shows, and what else it is set to.
_LISTENERS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "TLS": ("SSL", "server", {}),
    "MUTUAL": ("SSL", "server", {"ssl.client.auth": "required"}),
    "SASL": ("SASL_SSL", "server", {}),
    # Where a session ends soon: the client has to come back with what is valid then.
    "SHORT": ("SASL_SSL", "server", {"connections.max.reauth.ms": "3000"}),
    "OPEN_SASL": ("SASL_PLAINTEXT", "", {}),
    # Whose certificate a test exchanges.
    "RENEWED": ("SSL", "server", {}),
    "EXPIRED": ("SSL", "expired", {}),
    "ELSEWHERE": ("SSL", "elsewhere", {}),
}

_LOGIN = "org.apache.kafka.common.security"

#: What a worker needs, by what a person calls it: kind of resource, operations.
NEEDS: Mapping[str, tuple[ResourceType, tuple[AclOperation, ...]]] = {
    "input": (ResourceType.TOPIC, (AclOperation.READ, AclOperation.DESCRIBE)),
    "output": (ResourceType.TOPIC, (AclOperation.WRITE, AclOperation.DESCRIBE)),
    "dead": (ResourceType.TOPIC, (AclOperation.WRITE, AclOperation.DESCRIBE)),
    "group": (ResourceType.GROUP, (AclOperation.READ, AclOperation.DESCRIBE)),
    "transactional id": (
        ResourceType.TRANSACTIONAL_ID,
        (AclOperation.WRITE, AclOperation.DESCRIBE),
    ),
}


class Doors:
    """How to come in: addresses, files and properties. Every process of a test run may make one.

    Args:
        folder: of the certificates.
        ports: of each listener.
        plain: bootstrap servers of the listener without a door, for the tests' own clients, who
            may do everything.
    """

    def __init__(self, folder: Path, ports: Mapping[str, int], plain: str) -> None:
        self.folder, self.ports, self.plain = folder, ports, plain
        self.ca = folder / "ca.pem"

    @classmethod
    def read(cls, text: str) -> Doors:
        """From the text that `address` gave."""
        told = json.loads(text)
        return cls(Path(told["folder"]), told["ports"], told["plain"])

    @property
    def address(self) -> str:
        """All of it, as text."""
        told = {"folder": str(self.folder), "ports": self.ports, "plain": self.plain}
        return json.dumps(told)

    def at(self, listener: str) -> str:
        """Bootstrap servers of a listener."""
        return f"localhost:{self.ports[listener]}"

    def tls(self, **more: str) -> dict[str, str]:
        """Properties for TLS one-way; more of them by names with `_` for `.`."""
        own = {"security.protocol": "SSL", "ssl.ca.location": str(self.ca)}
        return own | {name.replace("_", "."): value for name, value in more.items()}

    def mutual(self, client: str = "worker", password: str = PASSWORD) -> dict[str, str]:
        """Properties for mutual TLS, with a client's certificate."""
        return self.tls(
            ssl_certificate_location=str(self.folder / f"{client}.pem"),
            ssl_key_location=str(self.folder / f"{client}.key"),
            ssl_key_password=password,
        )

    def sasl(
        self, mechanism: str = "SCRAM-SHA-512", user: str = USER, password: str = USER_PASSWORD
    ) -> dict[str, str]:
        """Properties for a user and a password over TLS."""
        return self.tls(
            security_protocol="SASL_SSL",
            sasl_mechanism=mechanism,
            sasl_username=user,
            sasl_password=password,
        )

    def set_password(self, user: str, password: str) -> None:
        """Give a user a password for both SCRAM mechanisms; who has none becomes a user by it."""
        changes = [
            UserScramCredentialUpsertion(
                user, ScramCredentialInfo(mechanism, 4096), password.encode()
            )
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
        ]
        for change in changes:
            answers = self._admin.alter_user_scram_credentials([change])
            for answer in answers.values():
                answer.result(CALL_TIMEOUT_S)

    def new_user(self, allowed: Mapping[str, str] | None = None) -> str:
        """A user with `USER_PASSWORD` under SCRAM, who may do nothing but what is allowed.

        Args:
            allowed: names of what, by `NEEDS`.
        """
        user = f"user-{uuid.uuid4().hex[:8]}"
        self.set_password(user, USER_PASSWORD)
        for need, name in (allowed or {}).items():
            self.allow(user, name, *NEEDS[need])
        return user

    def allow(
        self, user: str, name: str, kind: ResourceType, operations: Collection[AclOperation]
    ) -> None:
        """Allow a user operations on whatever begins with a name."""
        rules = [
            AclBinding(
                kind,
                name,
                ResourcePatternType.PREFIXED,
                f"User:{user}",
                "*",
                one,
                AclPermissionType.ALLOW,
            )
            for one in operations
        ]
        for answer in self._admin.create_acls(rules).values():
            answer.result(CALL_TIMEOUT_S)
        # A rule is known to the controller by then. The broker follows.
        wanted = AclBindingFilter(
            *(kind, name, ResourcePatternType.PREFIXED, f"User:{user}", None),
            *(AclOperation.ANY, AclPermissionType.ANY),
        )
        deadline = time.monotonic() + CALL_TIMEOUT_S
        while len(self._admin.describe_acls(wanted).result(CALL_TIMEOUT_S)) < len(rules):
            assert time.monotonic() < deadline, f"the rules of {user} did not appear"
            time.sleep(0.02)

    def deny(self, user: str, kind: ResourceType) -> None:
        """Take from a user all that was allowed with resources of a kind."""
        every = AclBindingFilter(
            *(kind, None, ResourcePatternType.ANY, f"User:{user}", None),
            *(AclOperation.ANY, AclPermissionType.ANY),
        )
        for answer in self._admin.delete_acls([every]).values():
            answer.result(CALL_TIMEOUT_S)

    def show_certificate(self, listener: str, file: Path) -> None:
        """Have a listener show another certificate from now on, as at a renewal."""
        name = f"listener.name.{listener.lower()}.ssl.keystore.location"
        change = ConfigEntry(name, str(file), incremental_operation=AlterConfigOpType.SET)
        broker = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[change])
        self._admin.incremental_alter_configs([broker])[broker].result(CALL_TIMEOUT_S)

    @property
    def signing_key(self) -> Any:
        """The key that tokens are signed with."""
        return jwk.RSAKey.import_key(json.loads((self.folder / "signing.json").read_text()))

    @property
    def _admin(self) -> AdminClient:
        return admin(self.plain)


class SecuredKafka:
    """Apache Kafka with all the listeners, and files of certificates in a temporary folder.

    Raises:
        KafkaUnavailable: on `start`, when Java or the jars are missing.
    """

    def __init__(self) -> None:
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._server: KafkaServer | None = None
        self._doors: Doors | None = None

    @property
    def address(self) -> str:
        """As `Doors.address`."""
        assert self._doors is not None, "the broker is not running"
        return self._doors.address

    def start(self) -> SecuredKafka:
        """Make the certificates and start the broker; returns when it answers."""
        self._files = tempfile.TemporaryDirectory(prefix="nerstream-doors-")
        folder = Path(self._files.name)
        _make_files(folder)
        ports = dict(zip(_LISTENERS, free_ports(len(_LISTENERS)), strict=True))
        jwks = (folder / "jwks.json").as_uri()
        self._server = KafkaServer(
            _config(folder, jwks),
            listeners={name: (_LISTENERS[name][0], port) for name, port in ports.items()},
            jvm=(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={jwks}",),
        )
        try:
            self._server.start()
        except BaseException:
            self._files.cleanup()
            raise
        self._doors = Doors(folder, ports, self._server.bootstrap_servers)
        self._doors.set_password(USER, USER_PASSWORD)
        return self

    def kill(self) -> None:
        """SIGKILL."""
        assert self._server is not None, "the broker is not running"
        self._server.kill()

    def stop(self) -> None:
        """Remove its data and the files."""
        assert self._server is not None, "the broker is not running"
        self._server.stop()
        assert self._files is not None
        self._files.cleanup()


def _make_files(folder: Path) -> None:
    authority, stranger = Authority(folder), Authority(folder, "foreign-ca")
    authority.issue("localhost", file="server", with_key=True)
    authority.issue("localhost", file="expired", expired=True, with_key=True)
    authority.issue("localhost", file="renewed", with_key=True)
    stranger.issue("localhost", file="foreign", with_key=True)
    authority.issue("elsewhere", with_key=True)
    authority.issue("worker", password=PASSWORD)
    authority.issue("worker", file="old-worker", expired=True, password=PASSWORD)
    stranger.issue("worker", file="foreign-worker", password=PASSWORD)
    key = jwk.RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})
    (folder / "signing.json").write_text(json.dumps(key.as_dict(private=True)))
    (folder / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))


def _config(folder: Path, jwks: str) -> dict[str, str | int]:
    config: dict[str, str | int] = {
        **STEADY,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # Clients without a name come by the listener without a door, and by one-way TLS.
        "super.users": f"User:ANONYMOUS;User:CN=worker;User:{USER}",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "ca.pem"),
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": ISSUER,
        "sasl.oauthbearer.jwks.endpoint.url": jwks,
    }
    for name, (protocol, certificate, more) in _LISTENERS.items():
        own = {**more}
        if certificate:
            own["ssl.keystore.type"] = "PEM"
            own["ssl.keystore.location"] = str(folder / f"{certificate}.pem")
        if protocol.startswith("SASL"):
            own |= _mechanisms()
        prefix = f"listener.name.{name.lower()}."
        config.update({prefix + key: value for key, value in own.items()})
    return config


def _mechanisms() -> dict[str, str]:
    scram = f"{_LOGIN}.scram.ScramLoginModule required;"
    token = f"{_LOGIN}.oauthbearer"
    return {
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "plain.sasl.jaas.config": (
            f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{USER_PASSWORD}";'
        ),
        "scram-sha-256.sasl.jaas.config": scram,
        "scram-sha-512.sasl.jaas.config": scram,
        "oauthbearer.sasl.jaas.config": f"{token}.OAuthBearerLoginModule required;",
        "oauthbearer.sasl.server.callback.handler.class": (
            f"{token}.OAuthBearerValidatorCallbackHandler"
        ),
    }
