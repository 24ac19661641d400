"""What a person is told where the brokers, or the files for them, do not let a client in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from confluent_kafka import KafkaError

from consumer.contracts.errors import SettingsError
from consumer.kafka.addresses import Address, split_bootstrap
from consumer.kafka.security.handshake import Handshake
from consumer.settings.reserved import names_of
from consumer.settings.schema import Settings
from consumer.settings.secrets import FILE_SUFFIX, with_secrets

#: Errors that come of a wrong user, password or token.
AUTHENTICATION = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})

#: What librdkafka puts around the reason: the broker's name before it, and how long it took.
_BEFORE = re.compile(r"^(\w+://)?\S+?(/\w+)?: (?=[A-Z])")
_AFTER = re.compile(r" \(after \d+ms in state .*$")

#: How it says that a token could not be had.
_NO_TOKEN = "Failed to acquire SASL OAUTHBEARER token: "

_MECHANISMS = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"

_FILES = (
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.crl.location",
)


def reason_of(error: KafkaError) -> str:
    """What the client said, without the names of its threads and its own times."""
    text: str = error.str().strip()
    return _AFTER.sub("", _BEFORE.sub("", text)).rstrip(".")


def refusal(settings: Settings, addresses: Iterable[Address] | None = None) -> str:
    """Why the brokers do not let this client in, and what would be right; empty where that cannot
    be said, or is not so. Blocks for some seconds at most.

    Args:
        addresses: of the brokers; None takes `bootstrap_servers`.

    Raises:
        SettingsError: a file of a secret cannot be read.
    """
    if addresses is None:
        addresses = split_bootstrap(settings.bootstrap_servers)
    return Handshake(with_secrets("kafka", settings.kafka)).refusal(addresses)


def authentication_problem(settings: Settings, error: KafkaError) -> str:
    """The same for a user or token that the brokers do not know, and where no token could be
    had."""
    given, said = settings.kafka, reason_of(error)
    mechanism = given.get("sasl.mechanism") or given.get("sasl.mechanisms", "")
    if said.startswith(_NO_TOKEN):
        endpoint = given.get("sasl.oauthbearer.token.endpoint.url", "the token endpoint")
        return (
            f"{endpoint} gives no token: {said.removeprefix(_NO_TOKEN)}; check "
            "kafka.sasl.oauthbearer.token.endpoint.url, kafka.sasl.oauthbearer.client.id and "
            f"{_named(given, 'sasl.oauthbearer.client.secret')}"
        )
    if why := refusal(settings):
        return why
    said = said.removeprefix("SASL authentication error: ")
    where = f"the brokers at {settings.bootstrap_servers}"
    if mechanism == "OAUTHBEARER":
        return (
            f"{where} do not take the token: {said}; its issuer, audience, signature and times "
            "must be those that the brokers expect; check kafka.sasl.oauthbearer.scope, the token "
            "endpoint and the clocks"
        )
    user = given.get("sasl.username", "")
    return (
        f"{where} do not let the user {user} in by {mechanism}: {said}; check kafka.sasl.username "
        f"and {_named(given, 'sasl.password')}, and that the brokers know this user under "
        f"{mechanism}"
    )


def files_fault(given: Mapping[str, str], said: str) -> SettingsError | None:
    """What is wrong where a client cannot be made for its files or its mechanism; None where it
    is for something else.

    Args:
        given: the properties of the client.
        said: by the client.
    """
    if "SASL mechanism" in said:
        name = next(
            (one for one in names_of("sasl.mechanism") if one in given), "security.protocol"
        )
        value = given.get(name, "")
        if name == "security.protocol":
            return SettingsError(
                "kafka.security.protocol",
                f"{value} asks for kafka.sasl.mechanism, which is missing",
                f"it must be one of {_MECHANISMS}",
            )
        return SettingsError(
            f"kafka.{name}",
            f"{value} is none that this client has",
            f"it must be one of {_MECHANISMS}",
        )
    if "ssl." not in said and "SSL" not in said:
        return None
    for name in _FILES:
        path = given.get(name, "")
        if not path or path == "probe":
            continue
        try:
            if not Path(path).is_dir():
                Path(path).open("rb").close()
        except OSError as error:
            return SettingsError(
                f"kafka.{name}",
                f"{path} cannot be read ({error.strerror})",
                "name a file that this user can read",
            )
    if "values mismatch" in said:
        return SettingsError(
            "kafka.ssl.key.location",
            f"{given.get('ssl.key.location', 'the key')} is not the key of "
            f"{given.get('ssl.certificate.location', 'the certificate')}",
            "give the two files that belong together",
        )
    for name in ("ssl.key", "ssl.keystore"):
        if said.find(f"{name}.") >= 0 and f"{name}.location" in given:
            password = f"{name}.password"
            how = "with this password" if password in given else "without a password"
            return SettingsError(
                f"kafka.{name}.location",
                f"{given[f'{name}.location']} cannot be opened {how}",
                f"check kafka.{password}{FILE_SUFFIX}, and that it is a key in "
                + ("PEM" if name == "ssl.key" else "PKCS#12"),
            )
    for name in ("ssl.ca.location", "ssl.certificate.location"):
        if name in said:
            return SettingsError(
                f"kafka.{name}", f"{given.get(name)} holds no certificate", "name a file in PEM"
            )
    return None


def _named(given: Mapping[str, str], secret: str) -> str:
    """The secret as the person gave it."""
    names = (name for one in names_of(secret) for name in (one, one + FILE_SUFFIX))
    return "kafka." + next((name for name in names if name in given), secret)
