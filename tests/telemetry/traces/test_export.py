"""Spans on their way out: counted, and told at most once a minute; nothing waits for them."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from consumer.contracts.choices import SpanFate
from consumer.telemetry.traces.export import (
    QUIET_S,
    BoundedProcessor,
    CountingExporter,
    LossReport,
    take_reasons,
)
from tests.support.fakes import PATIENCE_S, ManualClock, eventually


class FakeExporter(SpanExporter):
    """Answers what it is told to.

    Attributes:
        gate: while it is cleared `export` waits.
    """

    def __init__(self) -> None:
        self.answer: SpanExportResult | Exception = SpanExportResult.SUCCESS
        self.gate = threading.Event()
        self.gate.set()
        self.sent: list[str] = []
        self.is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.gate.wait(PATIENCE_S)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is SpanExportResult.SUCCESS:
            self.sent += [span.name for span in spans]
        return self.answer

    def shutdown(self) -> None:
        self.is_shut = True


class Rig:
    def __init__(self, capacity: int = 4) -> None:
        self.clock = ManualClock()
        self.counts: Counter[SpanFate] = Counter()
        self.report = LossReport(self.clock)
        self.sender = FakeExporter()
        self.exporter = CountingExporter(self.sender, self.count, self.report)
        # Sends as soon as there is one.
        processor = BoundedProcessor(
            self.exporter, self.count, self.report, capacity, max_export_batch_size=1
        )
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("test")

    def count(self, fate: SpanFate, spans: int) -> None:
        self.counts[fate] += spans

    def end_spans(self, *names: str) -> None:
        for name in names:
            self.tracer.start_span(name).end()

    def ended(self, spans: int) -> None:
        eventually(lambda: self.counts.total() == spans, f"{spans} spans came to an end")


def test_what_the_receiver_takes_is_counted() -> None:
    rig = Rig()
    with capture_logs() as lines:
        rig.end_spans("a", "b")
        rig.ended(2)
        rig.provider.shutdown()
    assert rig.counts == {SpanFate.EXPORTED: 2}
    assert rig.sender.sent == ["a", "b"]
    assert rig.sender.is_shut
    assert not lines


@pytest.mark.parametrize("answer", [SpanExportResult.FAILURE, ConnectionError("no route")])
def test_what_it_does_not_take_is_counted_and_told(answer: SpanExportResult | Exception) -> None:
    rig = Rig()
    rig.sender.answer = answer
    rig.report.reason = "the last thing that the SDK said"
    with capture_logs() as lines:
        rig.end_spans("a")
        rig.ended(1)
        rig.provider.shutdown()
    assert rig.counts == {SpanFate.FAILED: 1}
    (line,) = lines
    assert (line["log_level"], line["spans"], line["by"]) == ("warning", 1, "the receiver")
    wanted = repr(answer) if isinstance(answer, Exception) else rig.report.reason
    assert line["reason"] == wanted


def test_a_full_queue_drops_what_comes_and_nobody_waits() -> None:
    rig = Rig(capacity=4)
    rig.sender.gate.clear()
    with capture_logs() as lines:
        rig.end_spans("sending")
        eventually(lambda: rig.exporter.arrived == 1, "the first is being sent")
        rig.end_spans(*"abcdef")
        assert rig.counts == {SpanFate.DROPPED: 2}
        rig.sender.gate.set()
        rig.ended(7)
        rig.provider.shutdown()
    assert rig.counts == {SpanFate.EXPORTED: 5, SpanFate.DROPPED: 2}
    assert rig.sender.sent == ["sending", *"abcd"]
    (line,) = lines
    assert line["by"] == "a full queue"


def test_losses_are_told_once_a_minute_and_none_is_left_out() -> None:
    clock = ManualClock()
    report = LossReport(clock)
    with capture_logs() as lines:
        for _ in range(3):
            report.note(SpanFate.FAILED, 5)
        clock.advance(QUIET_S)
        report.note(SpanFate.FAILED, 1)
        report.note(SpanFate.FAILED, 1)
    assert [line["spans"] for line in lines] == [5, 11]


@pytest.mark.parametrize(
    "last",
    [
        "Failed to export spans batch due to timeout, max retries or shutdown.",
        "Failed to export spans batch code: None, reason: Attempted to set connect timeout to 0.0, "
        "but the timeout cannot be set to a value less than or equal to 0.",
    ],
)
def test_the_last_try_does_not_hide_what_was_wrong_with_the_one_before(last: str) -> None:
    """On a busy machine no time may be left for it."""
    report = LossReport()
    take_reasons(report)
    logger = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    logger.warning(last)
    assert report.reason == last
    logger.warning("Transient error connection refused, retrying")
    logger.warning(last)
    assert report.reason == "Transient error connection refused, retrying"
