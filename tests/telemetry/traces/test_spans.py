"""The spans of articles, batches and transactions: names, parents, links, attributes, times."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.messages import (
    Article,
    Headers,
    Outcome,
    RawMessage,
    Rejected,
    Tombstone,
    Unchanged,
)
from consumer.contracts.traces import TraceParent, traceparent_in
from consumer.telemetry.traces.sampling import Sampling
from consumer.telemetry.traces.spans import SpanTracer
from tests.support.fakes import raw, tagged, untagged

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = TraceParent(TRACE, SPAN, True)
WITH_PARENT: Headers = (("traceparent", PARENT.header()), ("tracestate", b"desk=7"))


@dataclass
class Rig:
    """A tracer whose spans are kept, and a clock that goes on by one at each look."""

    tracer: SpanTracer
    exporter: InMemorySpanExporter
    now: int

    def spans(self) -> dict[str, ReadableSpan]:
        """By name; each name once."""
        found = {span.name: span for span in self.exporter.get_finished_spans()}
        assert len(found) == len(self.exporter.get_finished_spans())
        return found

    def one(self, message: RawMessage) -> RawMessage:
        (taken,) = self.tracer.consumed([message])
        return taken


@pytest.fixture
def rig() -> Rig:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = Rig(None, exporter, 0)  # type: ignore[arg-type]

    def clock() -> int:
        made.now += 1
        return made.now * 1_000_000_000

    tracer = provider.get_tracer("test")
    made.tracer = SpanTracer(tracer, Sampling(1.0), "group-1", clock)
    return made


def test_an_article_goes_on_in_the_trace_of_its_message(rig: Rig) -> None:
    message = rig.one(raw(7, headers=WITH_PARENT, key=b"k-7"))
    assert message.trace is not None
    message.trace.prepared(0.5)
    batch = rig.tracer.batch([message, raw(8)], 30)
    assert batch is not None
    batch.ended()
    headers = message.trace.sending("out", message.headers)
    outcome = tagged(7)
    message.trace.resolved(outcome._replace(article=outcome.article._replace(raw=message)))
    transaction = rig.tracer.transaction([message], 2)
    assert transaction is not None
    transaction.ended()
    message.trace.committed()

    spans = rig.spans()
    assert set(spans) == {"process articles", "prepare", "tag", "tag batch", "send out", "commit"}
    article = spans["process articles"]
    assert article.kind is SpanKind.CONSUMER
    assert article.parent is not None
    assert f"{article.context.trace_id:032x}" == TRACE == message.trace.trace_id
    assert f"{article.parent.span_id:016x}" == SPAN
    assert article.parent.is_remote
    assert article.context.trace_state.get("desk") == "7"
    assert [link.context for link in article.links] == [article.parent]
    assert dict(article.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "articles",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 7,
        "messaging.kafka.message.key": "k-7",
        "messaging.consumer.group.name": "group-1",
        "messaging.message.body.size": 9,
        "nerstream.outcome": "enriched",
        "nerstream.article.id": "id-7",
        "nerstream.article.tokens": 1,
        "nerstream.article.entities": 1,
    }
    assert article.status.status_code is StatusCode.UNSET
    for name in ("prepare", "tag", "send out"):
        parent = spans[name].parent
        assert parent is not None
        assert parent.span_id == article.context.span_id
        assert spans[name].context.trace_id == article.context.trace_id
        assert article.start_time is not None
        assert (spans[name].end_time or 0) <= (article.end_time or 0)
    assert (spans["prepare"].end_time or 0) - (spans["prepare"].start_time or 0) == 500_000_000
    # A batch and a transaction belong to the traces of all of theirs, and so to none.
    for name in ("tag batch", "commit"):
        assert spans[name].parent is None
        assert spans[name].context.trace_id != article.context.trace_id
        assert [link.context for link in spans[name].links] == [article.context]
    assert [link.context for link in spans["tag"].links] == [spans["tag batch"].context]
    assert spans["tag"].start_time == spans["tag batch"].start_time
    assert (spans["tag batch"].attributes or {})["nerstream.batch.articles"] == 2
    assert (spans["commit"].attributes or {})["messaging.batch.message_count"] == 2
    # Whoever reads the output goes on behind the span that sent it.
    sent = spans["send out"]
    assert sent.kind is SpanKind.PRODUCER
    assert traceparent_in(headers) == (TRACE, f"{sent.context.span_id:016x}", True)
    assert headers[1] == ("tracestate", b"desk=7")


def test_a_message_without_a_context_begins_a_trace(rig: Rig) -> None:
    message = rig.one(raw(1, headers=(("desk", b"1"),)))
    assert message.trace is not None
    headers = message.trace.sending("out", message.headers)
    message.trace.committed()
    article = rig.spans()["process articles"]
    assert article.parent is None
    assert not article.links
    found = traceparent_in(headers)
    assert found is not None
    assert found.trace_id == message.trace.trace_id
    assert headers[0] == ("desk", b"1")


def test_what_is_not_sampled_stays_as_it_is(rig: Rig) -> None:
    message = raw(1, headers=(("traceparent", PARENT._replace(is_sampled=False).header()),))
    assert rig.one(message) is message
    assert rig.tracer.batch([message], 1) is None


def outcomes() -> list[tuple[Outcome, dict[str, object]]]:
    article = Article(raw(0), "id-0", ())
    return [
        (Tombstone(raw(0)), {"nerstream.outcome": "tombstone"}),
        (Unchanged(raw(0)), {"nerstream.outcome": "unchanged"}),
        (
            untagged(0)._replace(article=article),
            {
                "nerstream.outcome": "untagged",
                "nerstream.article.id": "id-0",
                "nerstream.skipped": "no_text",
            },
        ),
        (
            Rejected(raw(0), RejectCode.NO_TEXT, "quotes the input", RejectStage.PREPARE),
            {
                "nerstream.outcome": "dead letter",
                "nerstream.rejected.code": "no_text",
                "nerstream.rejected.stage": "prepare",
            },
        ),
    ]


@pytest.mark.parametrize(("outcome", "expected"), outcomes())
def test_every_outcome_is_told(rig: Rig, outcome: Outcome, expected: dict[str, object]) -> None:
    message = rig.one(raw(0, None if isinstance(outcome, Tombstone) else b"x"))
    assert message.trace is not None
    message.trace.resolved(outcome)
    message.trace.committed()
    found = dict(rig.spans()["process articles"].attributes or {})
    told = {name: value for name, value in found.items() if name.startswith("nerstream.")}
    assert told == expected
    assert found.get("messaging.kafka.message.tombstone") == (
        True if isinstance(outcome, Tombstone) else None
    )


def test_what_is_read_again_ends_with_an_error(rig: Rig) -> None:
    message = rig.one(raw(0))
    assert message.trace is not None
    message.trace.sending("out", ())
    message.trace.released("rewound")
    for name in ("send out", "process articles"):
        status = rig.spans()[name].status
        assert (status.status_code, status.description) == (StatusCode.ERROR, "rewound")
    assert (rig.spans()["process articles"].attributes or {})["nerstream.outcome"] == "released"


def test_a_message_that_the_output_refuses_is_sent_twice(rig: Rig) -> None:
    message = rig.one(raw(0))
    assert message.trace is not None
    message.trace.sending("out", ())
    headers = message.trace.sending("dead", ())
    message.trace.committed()
    spans = rig.spans()
    assert spans["send out"].status.description == "refused"
    assert spans["send dead"].status.status_code is StatusCode.UNSET
    found = traceparent_in(headers)
    assert found is not None
    assert found.span_id == f"{spans['send dead'].context.span_id:016x}"


def test_a_failed_commit_says_why(rig: Rig) -> None:
    message = rig.one(raw(0))
    transaction = rig.tracer.transaction([message], 1)
    assert transaction is not None
    transaction.ended("fenced")
    status = rig.spans()["commit"].status
    assert (status.status_code, status.description) == (StatusCode.ERROR, "fenced")


def test_a_key_that_is_no_text_is_left_out_and_a_long_one_cut(rig: Rig) -> None:
    for key in (b"\xff", b"k" * 1000):
        message = rig.one(raw(0, key=key))
        assert message.trace is not None
        message.trace.committed()
    binary, long = rig.exporter.get_finished_spans()
    assert "messaging.kafka.message.key" not in (binary.attributes or {})
    assert (long.attributes or {})["messaging.kafka.message.key"] == "k" * 128
