"""SpanTracer: the spans of articles, batches and transactions, with OpenTelemetry's SDK.

Names and attributes are those of the semantic conventions for messaging and for Kafka.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Tracer as SdkTracer
from opentelemetry.trace.span import TraceState

from consumer.contracts.messages import (
    Headers,
    Outcome,
    RawMessage,
    Rejected,
    TaggedArticle,
    Tombstone,
    Unchanged,
    Untagged,
)
from consumer.contracts.traces import (
    TRACESTATE,
    TraceParent,
    traceparent_in,
    with_traceparent,
)
from consumer.telemetry.traces.sampling import Sampling

#: Nanoseconds since the epoch.
Clock: TypeAlias = Callable[[], int]

#: Characters of a message's key that a span tells.
_KEY_CHARACTERS = 128


class SpanTracer:
    """Fulfils `consumer.contracts.traces.Tracer`.

    Args:
        tracer: the SDK's; it records every span that is begun.
        sampling: which messages are traced.
        group: the consumer group.
        clock: nanoseconds since the epoch.
    """

    def __init__(
        self, tracer: SdkTracer, sampling: Sampling, group: str, clock: Clock = time.time_ns
    ) -> None:
        self._tracer = tracer
        self._takes = sampling.takes
        self._group = group
        self._clock = clock

    def consumed(self, messages: Sequence[RawMessage]) -> list[RawMessage]:
        """As `Tracer.consumed`."""
        taken = []
        for raw in messages:
            parent = traceparent_in(raw.headers) if raw.headers else None
            if self._takes(parent):
                raw = raw._replace(trace=self._begin(raw, parent))
            taken.append(raw)
        return taken

    def batch(self, messages: Sequence[RawMessage], tokens: int) -> BatchSpan | None:
        """As `Tracer.batch`."""
        articles = [raw.trace for raw in messages if isinstance(raw.trace, ArticleSpan)]
        if not articles:
            return None
        attributes = {"nerstream.batch.articles": len(messages), "nerstream.batch.tokens": tokens}
        began = self._clock()
        span = self._unit("tag batch", SpanKind.INTERNAL, articles, attributes, began)
        return BatchSpan(span, articles, self._clock, began)

    def transaction(self, messages: Sequence[RawMessage], count: int) -> UnitSpan | None:
        """As `Tracer.transaction`."""
        articles = [raw.trace for raw in messages if isinstance(raw.trace, ArticleSpan)]
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "commit",
            "messaging.operation.type": "settle",
            "messaging.consumer.group.name": self._group,
            "messaging.batch.message_count": count,
        }
        span = self._unit("commit", SpanKind.CLIENT, articles, attributes, self._clock())
        return UnitSpan(span, self._clock)

    def _begin(self, raw: RawMessage, parent: TraceParent | None) -> ArticleSpan:
        (topic, partition), offset = raw.position
        attributes: dict[str, Any] = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": offset,
            "messaging.consumer.group.name": self._group,
            "messaging.message.body.size": len(raw.value or b""),
        }
        if raw.value is None:
            attributes["messaging.kafka.message.tombstone"] = True
        if raw.key is not None:
            with suppress(UnicodeDecodeError):
                attributes["messaging.kafka.message.key"] = raw.key.decode()[:_KEY_CHARACTERS]
        context, links = Context(), []
        if parent is not None:
            remote = _remote(parent, raw.headers)
            # It would begin a trace otherwise: the conventions then have it continue that of the
            # message, and link to it as well.
            context = set_span_in_context(NonRecordingSpan(remote), context)
            links = [Link(remote)]
        span = self._tracer.start_span(
            f"process {topic}",
            context,
            SpanKind.CONSUMER,
            attributes,
            links,
            start_time=self._clock(),
        )
        return ArticleSpan(self._tracer, span, self._clock)

    def _unit(
        self,
        name: str,
        kind: SpanKind,
        articles: Sequence[ArticleSpan],
        attributes: Mapping[str, Any],
        began: int,
    ) -> Span:
        links = [Link(article.context) for article in articles]
        # Of no trace: it belongs to all of theirs.
        return self._tracer.start_span(name, Context(), kind, attributes, links, start_time=began)


class _Ids:
    """Where a span stands, as `Trace` has it."""

    def __init__(self, span: Span) -> None:
        self._span = span
        #: As the SDK has it.
        self.context: SpanContext = span.get_span_context()

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.context.trace_id:032x}"

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return f"{self.context.span_id:016x}"


class ArticleSpan(_Ids):
    """Fulfils `consumer.contracts.traces.ArticleTrace`."""

    def __init__(self, tracer: SdkTracer, span: Span, clock: Clock) -> None:
        super().__init__(span)
        self._tracer = tracer
        self._clock = clock
        self._inside = set_span_in_context(span, Context())
        self._sending: Span | None = None

    def prepared(self, seconds: float) -> None:
        """As `ArticleTrace.prepared`."""
        now = self._clock()
        self.step("prepare", now - round(seconds * 1e9), now)

    def step(self, name: str, began: int, ended: int, links: Sequence[Link] = ()) -> None:
        """A span within this one, from one time to another."""
        span = self._tracer.start_span(name, self._inside, links=links, start_time=began)
        span.end(ended)

    def sending(self, topic: str, headers: Headers) -> Headers:
        """As `ArticleTrace.sending`."""
        if self._sending is not None:
            # The output topic does not take it, so that it becomes a dead letter.
            self._end_sending("refused")
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
        }
        self._sending = self._tracer.start_span(
            f"send {topic}",
            self._inside,
            SpanKind.PRODUCER,
            attributes,
            start_time=self._clock(),
        )
        sent = self._sending.get_span_context()
        parent = TraceParent(f"{sent.trace_id:032x}", f"{sent.span_id:016x}", True)
        return with_traceparent(headers, parent)

    def resolved(self, outcome: Outcome) -> None:
        """As `ArticleTrace.resolved`."""
        attributes: dict[str, Any] = {"nerstream.outcome": _OUTCOMES[type(outcome)]}
        if isinstance(outcome, TaggedArticle):
            attributes["nerstream.article.id"] = outcome.article.id
            attributes["nerstream.article.tokens"] = outcome.tokens
            attributes["nerstream.article.entities"] = len(outcome.entities)
        elif isinstance(outcome, Rejected):
            # What became of it is as it should be, so that the span is none that failed.
            attributes["nerstream.rejected.code"] = outcome.code.value
            attributes["nerstream.rejected.stage"] = outcome.stage.value
        elif isinstance(outcome, Untagged):
            attributes["nerstream.article.id"] = outcome.article.id
            attributes["nerstream.skipped"] = outcome.reason.value
        self._span.set_attributes(attributes)

    def committed(self) -> None:
        """As `ArticleTrace.committed`."""
        self._end_sending("")
        self._span.end(self._clock())

    def released(self, why: str) -> None:
        """As `ArticleTrace.released`."""
        self._end_sending(why)
        self._span.set_attribute("nerstream.outcome", "released")
        _end(self._span, why, self._clock())

    def _end_sending(self, error: str) -> None:
        if self._sending is not None:
            _end(self._sending, error, self._clock())
            self._sending = None


class UnitSpan(_Ids):
    """Fulfils `consumer.contracts.traces.UnitTrace`."""

    def __init__(self, span: Span, clock: Clock) -> None:
        super().__init__(span)
        self._clock = clock

    def ended(self, error: str = "") -> None:
        """As `UnitTrace.ended`."""
        _end(self._span, error, self._clock())


class BatchSpan(UnitSpan):
    """The same of a batch; each of its articles has a span of its own for it."""

    def __init__(
        self, span: Span, articles: Sequence[ArticleSpan], clock: Clock, began: int
    ) -> None:
        super().__init__(span, clock)
        self._articles = articles
        self._began = began

    def ended(self, error: str = "") -> None:
        """As `UnitTrace.ended`."""
        now = self._clock()
        for article in self._articles:
            article.step("tag", self._began, now, [Link(self.context)])
        _end(self._span, error, now)


def _end(span: Span, error: str, at: int) -> None:
    if error:
        span.set_status(Status(StatusCode.ERROR, error))
    span.end(at)


def _remote(parent: TraceParent, headers: Headers) -> SpanContext:
    states = [
        value.decode("ascii", "replace") for name, value in headers if name == TRACESTATE and value
    ]
    return SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(parent.is_sampled),
        trace_state=TraceState.from_header(states),
    )


_OUTCOMES: Mapping[type[Outcome], str] = {
    TaggedArticle: "enriched",
    Rejected: "dead letter",
    Tombstone: "tombstone",
    Unchanged: "unchanged",
    Untagged: "untagged",
}
