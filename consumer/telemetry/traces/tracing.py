"""Tracing: the SDK put together from settings and the standard's variables, and its end."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from consumer import __version__
from consumer.contracts.errors import SettingsError
from consumer.telemetry.traces.export import (
    BoundedProcessor,
    Count,
    CountingExporter,
    LossReport,
    take_reasons,
)
from consumer.telemetry.traces.sampling import Sampling
from consumer.telemetry.traces.spans import SpanTracer

#: Where traces are taken, below the address of a receiver.
PATH = "/v1/traces"

#: Seconds that the last spans may take at the end of the worker.
FLUSH_S = 3.0

#: The standard's variable for the spans that wait at most, and what it is where nobody says.
_QUEUE, _WAITING = "OTEL_BSP_MAX_QUEUE_SIZE", 2_048

#: Links of a span, one for each traced article of a batch or a transaction; the SDK's 128 are fewer
#: than the articles of a batch.
_LINKS = 1_024


class Tracing:
    """The worker's tracer, and what sends its spans.

    Args:
        sampling: which messages are traced.
        group: the consumer group.
        endpoint: address of the receiver, without a path; empty takes the standard's variables.
        environ: the environment, which the SDK reads as well.
        count: hears what becomes of spans.

    Raises:
        SettingsError: a variable of the standard's cannot be used.
    """

    def __init__(
        self,
        *,
        sampling: Sampling,
        group: str,
        endpoint: str,
        environ: Mapping[str, str],
        count: Count,
    ) -> None:
        report = LossReport()
        take_reasons(report)
        try:
            sender = OTLPSpanExporter(endpoint.rstrip("/") + PATH if endpoint else None)
            self._exporter = CountingExporter(sender, count, report)
            capacity = int(environ.get(_QUEUE, "").strip() or _WAITING)
            processor = BoundedProcessor(self._exporter, count, report, capacity)
        except (ValueError, OSError) as wrong:
            # The SDK reads them by itself, and says what is wrong with them.
            raise SettingsError(
                "OTEL_*", f"a variable cannot be used: {wrong}", "mend it, or take it away"
            ) from wrong
        limits = SpanLimits() if environ.get("OTEL_SPAN_LINK_COUNT_LIMIT") else _LIMITS
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not sampled has no span at all
            resource=_resource(),
            shutdown_on_exit=False,
            span_limits=limits,
        )
        self._provider.add_span_processor(processor)
        #: Begins the spans.
        self.tracer = SpanTracer(
            self._provider.get_tracer("nerstream", __version__), sampling, group
        )

    def close(self) -> None:
        """Send what waits, in `FLUSH_S` at most."""
        last = threading.Thread(target=self._provider.shutdown, name="nerstream-spans", daemon=True)
        last.start()
        last.join(FLUSH_S)
        if last.is_alive():
            # Ends the waiting between two tries.
            self._exporter.shutdown()


_LIMITS = SpanLimits(max_links=_LINKS)


def _resource() -> Resource:
    """What the spans are of; the variables of the standard's win."""
    ours = Resource({SERVICE_NAME: "nerstream", SERVICE_VERSION: __version__})
    return Resource.create().merge(ours).merge(OTELResourceDetector().detect())
