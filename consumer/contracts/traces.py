"""Traces: the context that travels in a message's header, and what the pipeline tells a tracer.

The header is W3C's Trace Context (https://www.w3.org/TR/trace-context/). Nothing here needs
OpenTelemetry; `consumer.telemetry.traces` fulfils the protocols with its SDK.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from consumer.contracts.messages import Headers, RawMessage, Trace

#: Names the trace that a message belongs to, and the span that sent it.
TRACEPARENT = "traceparent"

#: What vendors add to it; carried as it is.
TRACESTATE = "tracestate"

# Of later versions only this much is known; they may have more behind it.
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceParent(NamedTuple):
    """What a `traceparent` says.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits, of the span that sent the message.
        is_sampled: whether whoever sent it records the trace.
    """

    trace_id: str
    span_id: str
    is_sampled: bool

    def header(self) -> bytes:
        """The value of the header."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}".encode()


def traceparent_in(headers: Headers) -> TraceParent | None:
    """What the last header of that name says; None where there is none, or none that is valid."""
    for name, value in reversed(headers):
        if name == TRACEPARENT:
            return _parsed(value or b"")
    return None


def with_traceparent(headers: Headers, parent: TraceParent) -> Headers:
    """The headers with this context: in the place of the one that is there, or behind all."""
    added = (TRACEPARENT, parent.header())
    places = [place for place, (name, _) in enumerate(headers) if name == TRACEPARENT]
    if not places:
        return (*headers, added)
    kept = [header for place, header in enumerate(headers) if place not in places[1:]]
    kept[places[0]] = added
    return tuple(kept)


def without_traceparent(headers: Headers) -> Headers:
    """The headers but for the context, which a worker that traces replaces."""
    for name, _ in headers:
        if name == TRACEPARENT:
            return tuple(header for header in headers if header[0] != TRACEPARENT)
    return headers


def _parsed(value: bytes) -> TraceParent | None:
    found = _FORM.fullmatch(value)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    if not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None  # all zeros stand for none
    return TraceParent(trace_id.decode(), span_id.decode(), bool(int(flags, 16) & 1))


class UnitTrace(Trace, Protocol):
    """The span of a unit of several messages, a batch or a transaction, linked to theirs."""

    def ended(self, error: str = "") -> None:
        """It is over; with an error it failed."""


class Tracer(Protocol):
    """Begins spans. Any thread; no method raises or blocks."""

    def consumed(self, messages: Sequence[RawMessage]) -> list[RawMessage]:
        """The same messages, each with its trace where it has one."""
        ...

    def batch(self, messages: Sequence[RawMessage], tokens: int) -> UnitTrace | None:
        """The tagger begins with these; None where none of them is traced. To end it ends what
        each of them did in the tagger."""
        ...

    def transaction(self, messages: Sequence[RawMessage], count: int) -> UnitTrace | None:
        """A transaction begins to end.

        Args:
            messages: those of it that are traced.
            count: how many it has.
        """
        ...
