"""Properties of the schema registry's client: which there are, and what their values may be."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from urllib.parse import urlsplit

from consumer.settings.secrets import FILE_SUFFIX, file_fault, secret_in_file

#: What Confluent's client takes, and two that its serialisers take.
PROPERTIES = (
    "url",
    "basic.auth.user.info",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "bearer.auth.credentials.source",
    "bearer.auth.token",
    "bearer.auth.client.id",
    "bearer.auth.client.secret",
    "bearer.auth.scope",
    "bearer.auth.issuer.endpoint.url",
    "bearer.auth.logical.cluster",
    "bearer.auth.identity.pool.id",
    "proxy",
    "timeout",
    "auto.register.schemas",
    "normalize.schemas",
)

_SWITCHES = ("auto.register.schemas", "normalize.schemas")


def registry_fault(name: str, properties: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with a property, and what would be right; None if nothing. Its value is never
    told, since it may be secret.

    Args:
        properties: all of them.
    """
    value = properties[name]
    stem = secret_in_file(name)
    if name not in PROPERTIES and stem not in PROPERTIES:
        close = difflib.get_close_matches(name.removesuffix(FILE_SUFFIX), PROPERTIES, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return f"there is no property {name}", f"{meant}it must be one of {', '.join(PROPERTIES)}"
    if stem is not None and (fault := file_fault(name, properties)) is not None:
        return fault
    if name == "url" and not all(map(_is_address, value.split(","))):
        return "is no address", "it must begin with http:// or https://, several with commas"
    if name == "basic.auth.user.info" and ":" not in value:
        return "has no password", "it must be NAME:PASSWORD"
    if name in _SWITCHES and value not in ("true", "false"):
        return f'"{value}" is no choice', "it must be true or false"
    if name == "timeout" and not _is_positive(value):
        return f'"{value}" will not do', "it must be a number of seconds above 0"
    if name.startswith("ssl.key") and "ssl.certificate.location" not in properties:
        return "has no certificate", "give ssl.certificate.location too"
    return None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text.strip())
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
