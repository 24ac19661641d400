"""The admin port as the settings have it, and whether strangers can read it then."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path

from prometheus_client import CollectorRegistry

from consumer.contracts.errors import SettingsError
from consumer.settings.schema import Settings
from consumer.telemetry.admin.messages import Page
from consumer.telemetry.admin.server import AdminServer
from consumer.telemetry.health import Health

log = logging.getLogger(__name__)


def admin_from(
    settings: Settings,
    registry: CollectorRegistry,
    health: Callable[[], Health],
    pages: Mapping[str, Page] | None = None,
) -> AdminServer:
    """The server of the admin port, which begins to answer with `start`.

    Args:
        pages: further pages by path.

    Raises:
        SettingsError: the address cannot be listened on, or a file cannot be used.
    """
    server = _made(settings, registry, health, pages)
    warning = exposure(
        settings.admin_host,
        has_tls=bool(settings.admin_tls_cert),
        has_credentials=bool(settings.admin_credentials_file),
    )
    if warning is not None:
        log.warning(warning)
    return server


def check_admin(settings: Settings) -> str:
    """Make what `admin_from` would make, without a word, and let it go.

    Returns:
        What is wrong with a port that is in use, as it is where a worker runs already; empty where
        it is free.

    Raises:
        SettingsError: as `admin_from`, but for a port that is in use.
    """
    try:
        _made(settings, CollectorRegistry(), lambda: Health(alive=True, ready=False), None).close()
    except SettingsError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            return error.problem
        raise
    return ""


def _made(
    settings: Settings,
    registry: CollectorRegistry,
    health: Callable[[], Health],
    pages: Mapping[str, Page] | None,
) -> AdminServer:
    certificate, key = settings.admin_tls_cert, settings.admin_tls_key
    if bool(certificate) != bool(key):
        missing = "admin_tls_key" if certificate else "admin_tls_cert"
        raise SettingsError(missing, "is not given", "TLS needs the certificate and its key")
    credentials = settings.admin_credentials_file
    return AdminServer(
        settings.admin_host,
        settings.admin_port,
        registry,
        health,
        pages,
        tls=(Path(certificate), Path(key)) if certificate else None,
        credentials=Path(credentials) if credentials else None,
    )


def exposure(host: str, *, has_tls: bool, has_credentials: bool) -> str | None:
    """A warning for a person; None where nobody but this machine, or those with credentials that
    nobody reads on the way, can ask.

    Args:
        host: address that is listened on.
    """
    if _is_loopback(host):
        return None
    if not has_credentials:
        return (
            f"everybody who reaches {host} can read the admin port; name those who may in "
            "admin_credentials_file, or set admin_host=127.0.0.1"
        )
    if not has_tls:
        return (
            f"the credentials of the admin port travel to {host} unencrypted; "
            "set admin_tls_cert and admin_tls_key, unless something before it speaks TLS"
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
