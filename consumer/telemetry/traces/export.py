"""Sends spans to a receiver of OTLP, over HTTP, on a thread of the SDK's.

What goes wrong there is counted and told in a line a minute. It never holds up the worker: a span
that finds the queue full is dropped.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from consumer.contracts.choices import SpanFate

#: Called with how many spans came to which end.
Count: TypeAlias = Callable[[SpanFate, int], None]

#: Seconds between two lines about spans that are lost.
QUIET_S = 60.0

#: Loggers of the SDK that tell of each batch that is not taken, or each span.
_NOISY = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.trace.export",
)

#: What the SDK says where no time is left for another try.
_LAST_TRY = ("due to timeout", "timeout cannot be set to a value less than or equal to 0")

log = structlog.get_logger(__name__)


class LossReport:
    """Tells of lost spans at most once in `QUIET_S`. Any thread.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lost = 0
        self._quiet_until = clock()
        #: What the SDK said last of a failure.
        self.reason = ""

    def note(self, fate: SpanFate, spans: int) -> None:
        """So many were lost."""
        with self._lock:
            self._lost += spans
            now = self._clock()
            if now < self._quiet_until:
                return
            self._quiet_until = now + QUIET_S
            lost, self._lost = self._lost, 0
        log.warning(
            "spans are lost; the articles are not touched by it",
            spans=lost,
            by="the receiver" if fate is SpanFate.FAILED else "a full queue",
            reason=self.reason or "unknown",
        )


class CountingExporter(SpanExporter):
    """An exporter whose results are counted.

    Args:
        exporter: that sends; what it raises is a failure.
        count: hears of each end.
    """

    def __init__(self, exporter: SpanExporter, count: Count, report: LossReport) -> None:
        self._exporter = exporter
        self._count = count
        self._report = report
        #: Spans that have come so far.
        self.arrived = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send these. Blocks as long as the exporter does."""
        self.arrived += len(spans)
        try:
            result = self._exporter.export(spans)
        except Exception as failure:
            self._report.reason = repr(failure)
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._count(SpanFate.EXPORTED, len(spans))
        else:
            self._count(SpanFate.FAILED, len(spans))
            self._report.note(SpanFate.FAILED, len(spans))
        return result

    def shutdown(self) -> None:
        """Give up what is being tried, and close the connections."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return self._exporter.force_flush(timeout_millis)


class BoundedProcessor(BatchSpanProcessor):
    """The SDK's queue and thread. A span that finds the queue full is dropped and counted; the SDK
    would drop the oldest, and count none.

    Args:
        capacity: spans that wait at most, beside those that are being sent.
    """

    def __init__(
        self,
        exporter: CountingExporter,
        count: Count,
        report: LossReport,
        capacity: int,
        **options: Any,
    ) -> None:
        super().__init__(exporter, max_queue_size=capacity, **options)
        self._capacity = capacity
        self._arrivals = exporter
        self._counted = count
        self._report = report
        self._numbers = itertools.count(1)
        self._taken = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span that has ended, if there is room. Never blocks."""
        if self._taken - self._arrivals.arrived >= self._capacity:
            self._counted(SpanFate.DROPPED, 1)
            self._report.note(SpanFate.DROPPED, 1)
            return
        self._taken = next(self._numbers)
        super().on_end(span)


class _Reasons(logging.Handler):
    """Keeps what the SDK says last, in the place of its lines."""

    def __init__(self, report: LossReport) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text} {record.exc_info[1]!r}"
        # The last line of a failure is only that it was the last try; the one before says why.
        is_last_try = any(one in text for one in _LAST_TRY)
        if not is_last_try or not self._report.reason:
            self._report.reason = text


def take_reasons(report: LossReport) -> None:
    """Have the report know what the SDK would log of each failure."""
    for name in _NOISY:
        logger = logging.getLogger(name)
        logger.handlers[:] = [_Reasons(report)]
        logger.propagate = False
