"""Endpoint: where a worker tells of its metrics, its health and what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from prometheus_client import CollectorRegistry

from consumer.contracts.messages import Outcome
from consumer.settings.schema import Settings
from consumer.telemetry.admin.configured import admin_from
from consumer.telemetry.health import Health
from consumer.telemetry.live.live import live_from
from consumer.telemetry.live.pages import live_pages


class Endpoint(Protocol):
    """The admin port, or the pipe to a supervisor."""

    @property
    def port(self) -> int | None:
        """The port that it listens on; None where it is no port."""
        ...

    @property
    def sent(self) -> Callable[[Outcome], None] | None:
        """To be told of each outcome that is sent; None where nobody asks for that."""
        ...

    def start(self) -> None:
        """Begin to tell. Returns at once."""

    def close(self) -> None:
        """Tell no more."""


class AdminPort:
    """The admin port of one worker, with its live page.

    Args:
        registry: what `/metrics` shows.
        health: asked at each `/healthz` and `/readyz`.

    Raises:
        SettingsError: as `admin_from`.
    """

    def __init__(
        self, settings: Settings, registry: CollectorRegistry, health: Callable[[], Health]
    ) -> None:
        self._live = live_from(settings, registry, health)
        self._admin = admin_from(settings, registry, health, live_pages(self._live))

    @property
    def port(self) -> int:
        """The port in use."""
        return self._admin.port

    @property
    def sent(self) -> Callable[[Outcome], None] | None:
        """As the protocol says."""
        return self._live.sent

    def start(self) -> None:
        """As the protocol says."""
        self._live.start()
        self._admin.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._admin.close()
        self._live.close()
