"""A whole worker that traces: what it carries on, what it ends, and what its lines say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from consumer.contracts.errors import AbortableError, GroupMoved
from consumer.contracts.headers import ERRORS
from consumer.contracts.messages import Headers
from consumer.contracts.traces import TraceParent, traceparent_in
from consumer.telemetry.traces.sampling import Sampling
from consumer.telemetry.traces.spans import SpanTracer
from tests.support.processes.log_lines import log_lines
from tests.support.rigs.worker_rig import WorkerRig, workers

PARENT = TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def rig(exporter: InMemorySpanExporter) -> Iterator[WorkerRig]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # What has a recorded parent, and nothing else.
    tracer = SpanTracer(provider.get_tracer("test"), Sampling(0.0), "group-1")
    with workers() as make:
        yield make(tracer=tracer)


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def test_the_context_goes_on_behind_the_span_that_sent_it(
    rig: WorkerRig, exporter: InMemorySpanExporter
) -> None:
    traced: Headers = (("desk", b"1"), ("traceparent", PARENT.header()))
    plain: Headers = (("traceparent", PARENT._replace(is_sampled=False).header()),)
    rig.broker.feed(b"Ada", b"bad", headers=traced)
    rig.broker.feed(b"Bob", headers=plain)
    rig.broker.feed(b"Eve")
    rig.start()
    rig.committed(p0=4)
    rig.drain()
    sent = {message.position.offset: message for message in rig.broker.final}
    enriched = named(exporter, "send articles-tagged")
    letters = named(exporter, "send articles-dead-letters")
    for offset, (span,) in ((0, enriched), (1, letters)):
        assert traceparent_in(sent[offset].headers) == (
            PARENT.trace_id,
            f"{span.context.span_id:016x}",
            True,
        )
        assert sent[offset].headers[0] == ("desk", b"1")
    assert f"{ERRORS}code" in dict(sent[1].headers)
    assert dict(sent[2].headers)["traceparent"] == plain[0][1]
    assert "traceparent" not in dict(sent[3].headers)
    # Both were prepared; only the one that is an article came to the tagger.
    assert len(named(exporter, "prepare")) == 2
    assert len(named(exporter, "tag")) == 1
    (batch,) = named(exporter, "tag batch")
    assert len(batch.links) == 1
    assert sum(len(span.links) for span in named(exporter, "commit")) == 2
    articles = [span.attributes or {} for span in named(exporter, "process articles")]
    assert {one["messaging.kafka.offset"]: one["nerstream.outcome"] for one in articles} == {
        0: "enriched",
        1: "dead letter",
    }


def test_an_abort_ends_the_spans_and_its_line_names_the_trace(
    rig: WorkerRig, exporter: InMemorySpanExporter
) -> None:
    rig.sink.commit_failures.append(AbortableError("the broker said no"))
    rig.broker.feed(b"Ada", headers=(("traceparent", PARENT.header()),))
    with log_lines() as lines:
        rig.start()
        rig.committed(p0=1)
        rig.drain()
        (line,) = lines.of("transaction aborted")
    first, second = named(exporter, "process articles")
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "rewound")
    assert second.status.status_code is StatusCode.UNSET
    failed, ended = named(exporter, "commit")
    assert failed.status.description == "the broker said no"
    assert ended.status.status_code is StatusCode.UNSET
    assert line["trace_id"] == f"{failed.context.trace_id:032x}"
    # Each span was ended once, and none is left open.
    for name in ("prepare", "tag", "tag batch", "send articles-tagged"):
        assert len(named(exporter, name)) == 2


def test_a_transaction_that_fails_before_its_commit_is_told_too(
    rig: WorkerRig, exporter: InMemorySpanExporter
) -> None:
    rig.sink.send_failures.append(AbortableError("no room"))
    rig.broker.feed(b"Ada", headers=(("traceparent", PARENT.header()),))
    rig.start()
    rig.committed(p0=1)
    rig.drain()
    failed, _ = named(exporter, "commit")
    assert failed.status.description == "no room"


def test_a_rejection_is_logged_with_its_place_and_trace(rig: WorkerRig) -> None:
    rig.broker.feed(b"bad", headers=(("traceparent", PARENT.header()),))
    rig.broker.feed(b"untokenizable")
    with log_lines("debug") as lines:
        rig.start()
        rig.committed(p0=2)
        rig.drain()
        first, second = lines.of("rejected")
        (failed,) = lines.of("an article cannot be tokenised")
    assert (first["position"], first["code"]) == ("articles/0/0", "invalid_json")
    assert first["trace_id"] == PARENT.trace_id
    assert (second["position"], second["code"]) == ("articles/0/1", "tokenization_failed")
    assert "trace_id" not in second
    assert (failed["position"], failed["article"]) == ("articles/0/1", "id")


def test_what_the_end_of_the_worker_lets_go_ends_its_span(
    rig: WorkerRig, exporter: InMemorySpanExporter
) -> None:
    rig.sink.commit_failures.append(GroupMoved("its partitions moved"))
    rig.broker.feed(b"Ada", headers=(("traceparent", PARENT.header()),))
    rig.start()
    rig.committed(p0=1)
    rig.drain()
    statuses = [span.status.description for span in named(exporter, "process articles")]
    assert statuses == ["rewound", None]
