"""The tracing that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog

from consumer.contracts.choices import SpanFate, Switch
from consumer.contracts.errors import SettingsError
from consumer.settings.schema import Settings
from consumer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from consumer.telemetry.traces.sampling import Sampling
    from consumer.telemetry.traces.tracing import Tracing

#: The standard's variables that say how spans are sent, the special one first.
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"

log = structlog.get_logger(__name__)


def tracing_from(
    settings: Settings, environ: Mapping[str, str], metrics: Metrics
) -> Tracing | None:
    """What traces articles; None where the settings, or the standard's variables, ask for none.
    Connects to nothing yet.

    Raises:
        SettingsError: what it needs is not installed, or a variable cannot be used.
    """
    if settings.traces is Switch.OFF:
        return None
    turned_off = _turned_off(environ)
    if turned_off:
        log.info(f"no traces: {turned_off}")
        return None
    tracing, sampling = _made(settings, environ, metrics.spans)
    log.info("tracing", share=sampling.share, follows_parent=sampling.follows_parent)
    return tracing


def check_tracing(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make what `tracing_from` would make, without a word, and let it go.

    Raises:
        SettingsError: as `tracing_from`.
    """
    if settings.traces is Switch.ON and not _turned_off(environ):
        tracing, _ = _made(settings, environ, _uncounted)
        tracing.close()


def _uncounted(_: SpanFate, __: int) -> None:
    """Nothing is sent."""


def _turned_off(environ: Mapping[str, str]) -> str:
    """Which variable of the standard turns tracing off; empty where none does."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "OTEL_SDK_DISABLED is true"
    if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return "OTEL_TRACES_EXPORTER is none"
    return ""


def _made(
    settings: Settings, environ: Mapping[str, str], count: Callable[[SpanFate, int], None]
) -> tuple[Tracing, Sampling]:
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in ("", "otlp"):
        raise SettingsError(
            "OTEL_TRACES_EXPORTER", f'"{exporter}" is no exporter that is here', "use otlp or none"
        )
    spoken = next((name for name in _PROTOCOLS if environ.get(name, "").strip()), None)
    if spoken is not None and environ[spoken].strip().lower() != _SPOKEN:
        raise SettingsError(
            spoken,
            f'"{environ[spoken]}" is not spoken here',
            f"use {_SPOKEN}, and the receiver's port for it, which is mostly 4318",
        )
    try:
        # Imported here: an extra that most workers do without.
        from consumer.telemetry.traces.sampling import sampling_from
        from consumer.telemetry.traces.tracing import Tracing
    except ImportError as missing:
        raise SettingsError(
            "traces", f"on needs more than is installed ({missing})", "install nerstream[otel]"
        ) from missing
    sampling = sampling_from(settings.traces_share, environ)
    tracing = Tracing(
        sampling=sampling,
        group=settings.group_id,
        endpoint=settings.traces_endpoint,
        environ=environ,
        count=count,
    )
    return tracing, sampling
