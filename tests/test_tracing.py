"""The tracing that the settings ask for, and what is said where it cannot be had."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from consumer.contracts.choices import Switch
from consumer.contracts.errors import SettingsError
from consumer.settings.schema import Settings
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry
from consumer.tracing import tracing_from
from tests.support.fakes import eventually, raw
from tests.support.servers.otlp_receiver import otlp_receiver

ON = Settings(traces=Switch.ON, traces_share=1.0)


def test_it_is_off_unless_it_is_asked_for() -> None:
    registry = new_registry()
    assert tracing_from(Settings(), {}, Metrics(registry)) is None


@pytest.mark.parametrize(
    "environ", [{"OTEL_SDK_DISABLED": "True"}, {"OTEL_TRACES_EXPORTER": "none"}]
)
def test_the_variables_of_the_standard_can_turn_it_off(environ: Mapping[str, str]) -> None:
    assert tracing_from(ON, environ, Metrics(new_registry())) is None


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, 'OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not'),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json",
            },
            'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json" is not',
        ),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, 'OTEL_TRACES_EXPORTER: "zipkin" is no exporter'),
        ({"OTEL_TRACES_SAMPLER": "some"}, 'OTEL_TRACES_SAMPLER: "some" is no sampler'),
    ],
)
def test_what_they_ask_for_and_is_not_here_is_refused(
    environ: Mapping[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        tracing_from(ON, environ, Metrics(new_registry()))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError("No module named 'opentelemetry'")
        return real(name, *args, **kwargs)

    for name in [one for one in sys.modules if one.startswith("consumer.telemetry.traces")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r"traces: on needs more .* install nerstream\[otel\]"):
        tracing_from(ON, {}, Metrics(new_registry()))


def test_spans_are_sent_where_the_settings_say_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    registry = new_registry()
    with otlp_receiver() as receiver:
        settings = ON.model_copy(update={"traces_endpoint": receiver.address})
        tracing = tracing_from(settings, {}, Metrics(registry))
        assert tracing is not None
        (message,) = tracing.tracer.consumed([raw(0)])
        assert message.trace is not None
        message.trace.committed()
        receiver.await_spans("process articles", 1)
        eventually(
            lambda: (
                registry.get_sample_value("nerstream_trace_spans_total", {"fate": "exported"}) == 1
            ),
            "it is counted",
        )
        tracing.close()


def test_an_address_that_is_none_is_refused() -> None:
    for endpoint in ("collector:4318", "ftp://collector", "http://"):
        with pytest.raises(ValueError, match="is no address"):
            Settings(traces_endpoint=endpoint)
