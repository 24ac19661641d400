"""The SDK put together, and a receiver of OTLP at the other end of the wire."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from consumer import __version__
from consumer.contracts.choices import SpanFate
from consumer.contracts.errors import SettingsError
from consumer.telemetry.traces import tracing as tracing_module
from consumer.telemetry.traces.sampling import Sampling
from consumer.telemetry.traces.tracing import Tracing
from tests.support.fakes import PATIENCE_S, eventually, in_thread, raw
from tests.support.servers.otlp_receiver import OtlpReceiver, attributes_of, otlp_receiver


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as made:
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends at once, and knows of no receiver."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


class Made:
    def __init__(self, endpoint: str = "", environ: Mapping[str, str] | None = None) -> None:
        self.counts: Counter[SpanFate] = Counter()
        self.tracing = Tracing(
            sampling=Sampling(1.0),
            group="group-1",
            endpoint=endpoint,
            environ=environ or {},
            count=self.count,
        )

    def count(self, fate: SpanFate, spans: int) -> None:
        self.counts[fate] += spans

    def trace(self, messages: int = 1) -> None:
        for message in self.tracing.tracer.consumed([raw(n) for n in range(messages)]):
            assert message.trace is not None
            message.trace.committed()


@contextmanager
def made(endpoint: str = "", environ: Mapping[str, str] | None = None) -> Iterator[Made]:
    one = Made(endpoint, environ)
    yield one
    one.tracing.close()


def test_spans_arrive_as_the_standard_has_them(receiver: OtlpReceiver) -> None:
    with made(receiver.address + "/") as one:
        one.trace()
        (span,) = receiver.await_spans("process articles", 1)
    assert receiver.paths == {"/v1/traces"}
    assert receiver.headers[0]["content-type"] == "application/x-protobuf"
    assert attributes_of(span)["messaging.kafka.offset"] == 0
    assert len(span.trace_id) == 16
    assert span.end_time_unix_nano >= span.start_time_unix_nano > 0
    resource = receiver.resources[0]
    assert (resource["service.name"], resource["service.version"]) == ("nerstream", __version__)
    assert resource["service.instance.id"]
    eventually(lambda: one.counts == {SpanFate.EXPORTED: 1}, "it is counted")


def test_the_variables_of_the_standard_count(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-desk=7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tagger")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
    with made() as one:
        one.trace()
        receiver.await_spans("process articles", 1)
    headers = receiver.headers[0]
    assert (headers["x-desk"], headers["content-encoding"]) == ("7", "gzip")
    assert receiver.resources[0]["service.name"] == "tagger"
    assert receiver.resources[0]["deployment.environment.name"] == "prod"


def test_what_waits_is_sent_at_the_end(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    with made(receiver.address) as one:
        one.trace(3)
    assert len(receiver.named("process articles")) == 3
    assert one.counts == {SpanFate.EXPORTED: 3}


def test_a_receiver_that_refuses_is_told_of(receiver: OtlpReceiver) -> None:
    receiver.status = 403
    with capture_logs() as lines, made(receiver.address) as one:
        one.trace()
        eventually(lambda: one.counts == {SpanFate.FAILED: 1}, "the refusal is counted")
        eventually(lambda: lines, "it is told")
    assert lines[0]["event"] == "spans are lost; the articles are not touched by it"
    assert "403" in lines[0]["reason"]
    assert len(lines) == 1


def test_a_receiver_that_is_not_there_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for a second try, before which the SDK says what was wrong with the first.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with capture_logs() as lines, made(endpoint) as one:
            one.trace()
            eventually(lambda: one.counts == {SpanFate.FAILED: 1}, "the failure is counted")
            eventually(lambda: lines, "it is told")
    assert "refused" in lines[0]["reason"]


def test_the_end_waits_for_a_receiver_that_hangs_only_so_long(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing_module, "FLUSH_S", 0.05)
    one = Made(receiver.address)
    flushed, is_shut = threading.Event(), threading.Event()
    monkeypatch.setattr(one.tracing._provider, "shutdown", flushed.wait)
    monkeypatch.setattr(one.tracing._exporter, "shutdown", is_shut.set)
    in_thread(one.tracing.close).result(PATIENCE_S)
    assert is_shut.is_set(), "what is being tried is not given up"
    flushed.set()


@pytest.mark.parametrize("value", ["many", "-1"])
def test_a_variable_that_the_sdk_cannot_use_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"OTEL_\*: a variable cannot be used"):
        Made(environ={"OTEL_BSP_MAX_QUEUE_SIZE": value})


@pytest.mark.parametrize(
    ("environ", "links"), [({}, 300), ({"OTEL_SPAN_LINK_COUNT_LIMIT": "5"}, 5)]
)
def test_a_batch_is_linked_to_all_of_its_articles(
    receiver: OtlpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    environ: Mapping[str, str],
    links: int,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with made(receiver.address, environ) as one:
        batch = one.tracing.tracer.batch(
            one.tracing.tracer.consumed([raw(n) for n in range(300)]), 900
        )
        assert batch is not None
        batch.ended()
        (span,) = receiver.await_spans("tag batch", 1)
    assert len(span.links) == links
