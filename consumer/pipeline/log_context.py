"""What log lines about an article, a batch or a transaction say of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from structlog.contextvars import bind_contextvars, reset_contextvars

from consumer.contracts.messages import Position, Trace

_NOTHING: AbstractContextManager[None] = nullcontext()


def log_context(trace: Trace | None) -> AbstractContextManager[None]:
    """Add the ids of the trace to every line that this thread logs meanwhile, also to those of
    libraries. Without a trace nothing is added."""
    return _NOTHING if trace is None else _bound(trace)


@contextmanager
def _bound(trace: Trace) -> Iterator[None]:
    tokens = bind_contextvars(trace_id=trace.trace_id, span_id=trace.span_id)
    try:
        yield
    finally:
        reset_contextvars(**tokens)


def spelled(position: Position) -> str:
    """Where a message stands, as `nerstream` commands take it: `topic/partition/offset`."""
    (topic, partition), offset = position
    return f"{topic}/{partition}/{offset}"
