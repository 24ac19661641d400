"""A schema registry with Confluent's API, by Confluent's own client."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from consumer.contracts.errors import (
    RegistryProblem,
    RegistryUnavailable,
    SettingsError,
    first_line,
)
from consumer.contracts.registry import RegisteredSchema, SchemaReference, SchemaType
from consumer.settings.registry import registry_fault
from consumer.settings.secrets import FILE_SUFFIX, with_secrets

#: Seconds that a request may take, unless the property `timeout` says otherwise.
TIMEOUT_S = 10.0

#: How often a schema is registered before a refusal counts, and the seconds in between.
_ATTEMPTS = 4
_BETWEEN_ATTEMPTS_S = 0.3

#: What the registry answers when there is no schema of an id.
_NO_SUCH_SCHEMA = 40403
#: What it answers when a subject, a version or a schema under a subject is missing.
_NOT_REGISTERED = frozenset({40401, 40402, 40403})

#: Answers after which the same request may do.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

#: Answers to a name, a password or a token that is not, or no longer, valid.
_REFUSED = frozenset({401, 403})

#: Files that schemas import without registering them, and the package that has them.
_BUNDLED = {"google/": "", "confluent/": "confluent_kafka.schema_registry."}

USER_INFO = "basic.auth.user.info"

#: Properties that are the worker's own, and no client's.
AUTO_REGISTER = "auto.register.schemas"
NORMALIZE = "normalize.schemas"

_NUMBERS = frozenset({"timeout", "bearer.auth.max.retries"})

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


class ConfluentRegistry:
    """Asks a registry. Every request is made once; who waits for the registry asks again.

    Args:
        properties: `url`, and those of Confluent's client; `auto.register.schemas=false` looks
            schemas of the output up instead of registering them, `normalize.schemas=true` has the
            registry bring them to one form first.

    Raises:
        SettingsError: the client does not take a property.
        ImportError: it is not installed.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._properties = properties
        self._read = with_secrets("registry", properties)
        self._client: Any = None
        #: Where the registry is, without a password.
        self.url = ""
        self._connect()

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def check(self) -> None:
        """Find out whether a registry answers."""
        self._asked(lambda: self._client.get_schema_types())

    def schema(self, schema_id: int) -> RegisteredSchema | None:
        """The schema of this id; None where there is none."""
        return self._asked(
            lambda: _schema(self._client.get_schema(schema_id, fmt="serialized")),
            absent=frozenset({_NO_SUCH_SCHEMA}),
        )

    def referenced(self, reference: SchemaReference) -> RegisteredSchema:
        """A schema that another one uses."""
        return self._present(
            self._asked(
                lambda: _schema(
                    self._client.get_version(
                        reference.subject, reference.version, True, "serialized"
                    ).schema
                )
            )
        )

    def register(self, subject: str, schema: RegisteredSchema) -> int:
        """Register a schema, or find it registered; gives its id."""
        from confluent_kafka.schema_registry import Schema
        from confluent_kafka.schema_registry import SchemaReference as Reference

        theirs = Schema(
            schema.text, schema.type.value, [Reference(*one) for one in schema.references]
        )
        absent: frozenset[int] = frozenset() if self._registers else _NOT_REGISTERED

        def ask() -> int:
            client = self._client
            call = client.register_schema_full_response if self._registers else client.lookup_schema
            return int(call(subject, theirs, self._normalizes).schema_id)

        for attempt in range(_ATTEMPTS):
            try:
                found = self._asked(ask, absent)
                break
            except RegistryProblem as problem:
                # Workers of a group register the same schema at the same moment, and a registry may
                # refuse all but the first.
                if attempt + 1 < _ATTEMPTS:
                    time.sleep(_BETWEEN_ATTEMPTS_S)
                    continue
                raise RegistryProblem(
                    f"the schema of the output cannot be registered under {subject}: {problem}"
                ) from problem
        if found is None:
            raise RegistryProblem(
                f"the schema of the output is not registered under {subject} in the schema registry"
                f" {self.url}, and {AUTO_REGISTER} is false; register it: {schema.text}"
            )
        return found

    def protobuf_file(self, name: str) -> bytes | None:
        """A file that schemas in Protobuf may import without registering it."""
        return bundled_protobuf_file(name)

    def _asked(
        self, ask: Callable[[], Answer], absent: frozenset[int] = frozenset()
    ) -> Answer | None:
        """What the registry answers; None where its code is one of those in `absent`."""
        from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError

        try:
            return ask()
        except SchemaRegistryError as fault:
            if fault.error_code in absent:
                return None
            if fault.http_status_code in _REFUSED and self._has_renewed():
                return self._asked(ask, absent)
            raise self._problem(fault.http_status_code, str(fault.error_message)) from None
        except OAuthTokenError as fault:
            raise self._unavailable(f"no token for it: {first_line(fault)}") from None
        except ValueError as fault:
            raise RegistryProblem(
                f"what answers at registry.url={self.url} is no schema registry"
                f" ({first_line(fault)}); give the address below which /schemas and /subjects are"
            ) from None
        except Exception as fault:  # whatever happened on the way there or back
            raise self._unavailable(first_line(fault)) from None

    def _connect(self) -> None:
        """Make the client out of what was read.

        Raises:
            SettingsError: it does not take a property.
        """
        from confluent_kafka.schema_registry import SchemaRegistryClient

        if USER_INFO in self._read and (wrong := registry_fault(USER_INFO, self._read)) is not None:
            raise SettingsError(f"registry.{USER_INFO}{FILE_SUFFIX}", *wrong)
        options: dict[str, Any] = dict(self._read)
        self._registers = options.pop(AUTO_REGISTER, "true") == "true"
        self._normalizes = options.pop(NORMALIZE, "false") == "true"
        for name in _NUMBERS & options.keys():
            options[name] = _number(name, options[name])
        options.setdefault("timeout", TIMEOUT_S)
        # The client logs the address of each request, and a password must not stand in it.
        options["url"], user_info = _without_user(options["url"])
        if user_info:
            options.setdefault(USER_INFO, user_info)
        try:
            self._client = SchemaRegistryClient({**options, "max.retries": 0})
        except (ValueError, TypeError, OSError) as fault:
            raise SettingsError(
                "registry", f"the client does not take it: {first_line(fault)}", "correct it"
            ) from None
        self.url = options["url"]

    def _has_renewed(self) -> bool:
        """Whether a file of a secret has changed, so that the same request may be let in now."""
        try:
            read = with_secrets("registry", self._properties)
            if read == self._read:
                return False
            before, self._read = self._client, read
            self._connect()
        except SettingsError as fault:
            _log.warning("%s; the secret that was read before is used on", fault)
            return False
        before.close()
        _log.info("a secret of the schema registry has changed; it is used from now on")
        return True

    def _present(self, schema: RegisteredSchema | None) -> RegisteredSchema:
        assert schema is not None
        return schema

    def _unavailable(self, why: str) -> RegistryUnavailable:
        return RegistryUnavailable(f"the schema registry {self.url} does not answer: {why}")

    def _problem(self, status: int, said: str) -> RegistryProblem | RegistryUnavailable:
        said = " ".join(said.split())
        if status in _PASSING:
            return self._unavailable(f"{said} (HTTP {status})")
        if status in _REFUSED:
            return RegistryProblem(
                f"the schema registry {self.url} refuses the worker (HTTP {status}: {said}); see"
                " registry.basic.auth.user.info, registry.bearer.auth.* and"
                " registry.ssl.certificate.location"
            )
        if status == 404:
            return RegistryProblem(
                f"what answers at registry.url={self.url} has no such page (HTTP 404: {said});"
                " give the address below which /schemas and /subjects are"
            )
        return RegistryProblem(f"the schema registry {self.url} says (HTTP {status}): {said}")


def bundled_protobuf_file(name: str) -> bytes | None:
    """A file of Google's or Confluent's, as a serialised `FileDescriptorProto`; None if it is not
    one of theirs."""
    package = next((one for start, one in _BUNDLED.items() if name.startswith(start)), None)
    if package is None or not name.endswith(".proto"):
        return None
    try:
        found = importlib.import_module(
            package + name.removesuffix(".proto").replace("/", ".") + "_pb2"
        )
    except ImportError:
        return None
    return bytes(found.DESCRIPTOR.serialized_pb)


def _schema(found: Any) -> RegisteredSchema:
    kind = found.schema_type or SchemaType.AVRO
    references = tuple(
        SchemaReference(one.name, one.subject, one.version) for one in found.references or ()
    )
    if kind not in set(SchemaType):
        raise ValueError(f"a schema in {kind}")
    return RegisteredSchema(SchemaType(kind), found.schema_str, references)


def _without_user(addresses: str) -> tuple[str, str]:
    """Addresses without a name and password in them, and these, as `name:password`."""
    user_info = ""
    cleaned = []
    for address in addresses.split(","):
        parts = urlsplit(address.strip())
        if "@" in parts.netloc:
            user, _, host = parts.netloc.rpartition("@")
            user_info = user_info or unquote(user)
            parts = parts._replace(netloc=host)
        cleaned.append(urlunsplit(parts))
    return ",".join(cleaned), user_info


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"registry.{name}", f'"{text}" is no number', "give seconds") from None
