"""What Prometheus would scrape, after what the pipeline told."""

from __future__ import annotations

import dataclasses
import random

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from consumer import __version__
from consumer.contracts.choices import (
    FoundBy,
    JumpReason,
    RebalanceEvent,
    RejectCode,
    ReleaseReason,
    ShadowFate,
    SkipReason,
    SpanFate,
    TransactionOutcome,
)
from consumer.contracts.messages import ModelInfo, ModelShare, TaggingResult, TopicPartition
from consumer.contracts.observer import Observer
from consumer.telemetry.batch_histogram import BatchHistogram
from tests.support.scraped import Scraped

A0 = TopicPartition("articles", 0)
A1 = TopicPartition("articles", 1)
BUNDLED = ModelInfo("bundled", "abc123", "cpu", "float32", ("LOC", "MISC", "ORG", "PER"))


def result(*shares: ModelShare) -> TaggingResult:
    return TaggingResult((), (), shares)


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def test_metrics_are_an_observer(scraped: Scraped) -> None:
    observer: Observer = scraped.metrics
    observer.consumed(3, 120)
    assert scraped.value("nerstream_messages_consumed_total") == 3
    assert scraped.value("nerstream_consumed_bytes_total") == 120


def test_labels_that_are_known_begin_at_zero(scraped: Scraped) -> None:
    for code in RejectCode:
        assert scraped.value("nerstream_messages_rejected_total", code=code.value) == 0
    for reason in ReleaseReason:
        assert scraped.value("nerstream_messages_released_total", reason=reason.value) == 0
    for outcome in TransactionOutcome:
        assert scraped.value("nerstream_transactions_total", outcome=outcome.value) == 0
    for event in RebalanceEvent:
        assert scraped.value("nerstream_rebalances_total", event=event.value) == 0
    for stage in ("poll", "prepare", "tag", "publish", "commit"):
        assert scraped.value("nerstream_stage_duration_seconds_count", stage=stage) == 0
    for queue in ("incoming", "batches", "tagged"):
        assert scraped.value("nerstream_queue_depth", queue=queue) == 0


def test_every_message_is_accounted_for(scraped: Scraped) -> None:
    """Consumed = published + tombstones + rejected + released + in flight, at every moment."""
    chance = random.Random(7)
    in_flight = 0

    def total(name: str, label: str = "", values: tuple[str, ...] = ()) -> float:
        if not label:
            return scraped.value(name) or 0
        return sum(scraped.value(name, **{label: value}) or 0 for value in values)

    for _ in range(300):
        read = chance.randrange(20)
        in_flight += read
        scraped.metrics.consumed(read, read * 100)
        published, tombstones, no_text, not_json, released = (
            chance.randrange(max(1, in_flight // 5)) for _ in range(5)
        )
        scraped.metrics.committed(
            published,
            tombstones,
            {RejectCode.NO_TEXT: no_text, RejectCode.INVALID_JSON: not_json},
            {SkipReason.NO_TEXT: published // 2},
            {"PER": 2 * published},
            [0.1] * published,
        )
        scraped.metrics.released(chance.choice(list(ReleaseReason)), released)
        in_flight -= published + tombstones + no_text + not_json + released
        scraped.metrics.in_flight(in_flight, in_flight * 100)

        assert total("nerstream_messages_consumed_total") == (
            total("nerstream_articles_published_total")
            + total("nerstream_tombstones_published_total")
            + total("nerstream_messages_rejected_total", "code", tuple(RejectCode))
            + total("nerstream_messages_released_total", "reason", tuple(ReleaseReason))
            + total("nerstream_in_flight_messages")
        )
    assert total("nerstream_articles_published_total") > 0
    assert total("nerstream_in_flight_bytes") == in_flight * 100


def test_what_passed_untagged_is_counted_by_reason(scraped: Scraped) -> None:
    for reason in SkipReason:
        assert scraped.value("nerstream_articles_untagged_total", reason=reason) == 0
    scraped.metrics.committed(5, 0, {}, {SkipReason.NO_TEXT: 2}, {}, [])
    assert scraped.value("nerstream_articles_untagged_total", reason="no_text") == 2
    assert scraped.value("nerstream_articles_published_total") == 5


def test_commit_tells_entities_and_latencies(scraped: Scraped) -> None:
    scraped.metrics.models_loaded([BUNDLED])
    scraped.metrics.committed(3, 0, {}, {}, {"PER": 4, "ORG": 1}, [0.004, 0.3, 700.0])
    assert scraped.value("nerstream_entities_total", type="PER") == 4
    assert scraped.value("nerstream_entities_total", type="ORG") == 1
    assert scraped.value("nerstream_entities_total", type="LOC") == 0
    latency = "nerstream_end_to_end_latency_seconds"
    assert scraped.value(f"{latency}_count") == 3
    assert scraped.value(f"{latency}_sum") == pytest.approx(700.304)
    assert scraped.value(f"{latency}_bucket", le="0.005") == 1
    assert scraped.value(f"{latency}_bucket", le="0.5") == 2
    assert scraped.value(f"{latency}_bucket", le="600.0") == 2
    assert scraped.value(f"{latency}_bucket", le="+Inf") == 3


def test_latency_is_never_below_zero(scraped: Scraped) -> None:
    """The broker's clock may be ahead of the worker's."""
    scraped.metrics.committed(1, 0, {}, {}, {}, [-2.5])
    assert scraped.value("nerstream_end_to_end_latency_seconds_sum") == 0
    assert scraped.value("nerstream_end_to_end_latency_seconds_bucket", le="0.005") == 1


def test_a_batch_tells_its_size_wait_and_padding(scraped: Scraped) -> None:
    scraped.metrics.batch_closed(articles=12, tokens=3_000, waited_s=0.02)
    scraped.metrics.batch_tagged(result(ModelShare(BUNDLED, 3_000, 4_000, out_of_memory_splits=2)))
    assert scraped.value("nerstream_batch_articles_sum") == 12
    assert scraped.value("nerstream_batch_tokens_bucket", le="2048.0") == 0
    assert scraped.value("nerstream_batch_tokens_bucket", le="4096.0") == 1
    assert scraped.value("nerstream_batch_wait_seconds_sum") == 0.02
    labels = {"model": "bundled", "revision": "abc123"}
    assert scraped.value("nerstream_tokens_total", **labels) == 3_000
    assert scraped.value("nerstream_computed_tokens_total", **labels) == 4_000
    assert scraped.value("nerstream_batch_padding_ratio_sum") == pytest.approx(0.25)
    assert scraped.value("nerstream_out_of_memory_splits_total") == 2


def test_each_model_counts_its_tokens_and_a_batch_of_both_has_one_padding(
    scraped: Scraped,
) -> None:
    other = dataclasses.replace(BUNDLED, name="german", revision="def456", types=("GRUPPE", "PER"))
    scraped.metrics.models_loaded([BUNDLED, other])
    labels = {"device": "cpu", "dtype": "float32", "answers": "exact"}
    for model in (BUNDLED, other):
        name = {"name": model.name, "revision": model.revision}
        assert scraped.value("nerstream_model_info", **name, **labels) == 1
        of_model = {"model": model.name, "revision": model.revision}
        assert scraped.value("nerstream_tokens_total", **of_model) == 0
    assert scraped.value("nerstream_entities_total", type="GRUPPE") == 0
    scraped.metrics.batch_tagged(result(ModelShare(BUNDLED, 10, 20), ModelShare(other, 5, 5, 1)))
    scraped.metrics.batch_tagged(result(ModelShare(other, 1, 1)))
    german = {"model": "german", "revision": "def456"}
    assert scraped.value("nerstream_tokens_total", **german) == 6
    assert scraped.value("nerstream_computed_tokens_total", **german) == 6
    assert scraped.value("nerstream_tokens_total", model="bundled", revision="abc123") == 10
    assert scraped.value("nerstream_out_of_memory_splits_total") == 1
    assert scraped.value("nerstream_batch_padding_ratio_count") == 2
    assert scraped.value("nerstream_batch_padding_ratio_sum") == pytest.approx(0.4)


def test_a_batch_without_articles_has_no_padding(scraped: Scraped) -> None:
    scraped.metrics.batch_tagged(result(ModelShare(BUNDLED, 0, 0)))
    assert scraped.value("nerstream_batch_padding_ratio_count") == 0


def test_stages_queues_and_back_pressure(scraped: Scraped) -> None:
    scraped.metrics.stage_seconds("tag", 0.2)
    scraped.metrics.stage_seconds("tag", 0.3)
    scraped.metrics.queue_depth("tagged", 2)
    scraped.metrics.paused(True)
    assert scraped.value("nerstream_stage_duration_seconds_sum", stage="tag") == 0.5
    assert scraped.value("nerstream_stage_duration_seconds_count", stage="poll") == 0
    assert scraped.value("nerstream_queue_depth", queue="tagged") == 2
    assert scraped.value("nerstream_paused") == 1
    scraped.metrics.paused(False)
    assert scraped.value("nerstream_paused") == 0


def test_transactions_and_rebalances(scraped: Scraped) -> None:
    scraped.metrics.transaction_ended(TransactionOutcome.COMMITTED)
    scraped.metrics.transaction_ended(TransactionOutcome.ABORTED)
    scraped.metrics.transaction_ended(TransactionOutcome.COMMITTED)
    scraped.metrics.rebalanced(RebalanceEvent.ASSIGNED, 4)
    scraped.metrics.rebalanced(RebalanceEvent.REVOKED, 1)
    scraped.metrics.rebalanced(RebalanceEvent.LOST, 2)
    assert scraped.value("nerstream_transactions_total", outcome="committed") == 2
    assert scraped.value("nerstream_transactions_total", outcome="aborted") == 1
    assert scraped.value("nerstream_rebalances_total", event="lost") == 1
    assert scraped.value("nerstream_assigned_partitions") == 1


def test_places_that_were_gone(scraped: Scraped) -> None:
    assert scraped.value("nerstream_position_jumps_total", reason="recreated") == 0
    scraped.metrics.jumped(JumpReason.REMOVED, 30)
    scraped.metrics.jumped(JumpReason.REMOVED, 12)
    scraped.metrics.jumped(JumpReason.CUT, 0)
    assert scraped.value("nerstream_position_jumps_total", reason="removed") == 2
    assert scraped.value("nerstream_position_jumps_total", reason="cut") == 1
    assert scraped.value("nerstream_messages_missed_total") == 42


def test_device_memory_is_there_only_with_a_device(scraped: Scraped) -> None:
    assert scraped.value("nerstream_device_memory_bytes", kind="allocated") is None
    scraped.metrics.watch_device_memory(lambda: {"allocated": 10, "reserved": 25})
    assert scraped.value("nerstream_device_memory_bytes", kind="allocated") == 10
    assert scraped.value("nerstream_device_memory_bytes", kind="reserved") == 25


def test_a_device_that_fails_costs_only_its_own_number(scraped: Scraped) -> None:
    def broken() -> dict[str, int]:
        raise RuntimeError("device lost")

    scraped.metrics.watch_device_memory(broken)
    scraped.metrics.consumed(1, 1)
    assert scraped.value("nerstream_device_memory_bytes", kind="allocated") is None
    assert b"nerstream_messages_consumed_total 1.0" in generate_latest(scraped.registry)


def test_model_and_build_are_told(scraped: Scraped) -> None:
    scraped.metrics.models_loaded([BUNDLED])
    labels = {"name": "bundled", "revision": "abc123", "device": "cpu", "dtype": "float32"}
    labels["answers"] = "exact"
    assert scraped.value("nerstream_model_info", **labels) == 1
    assert scraped.value("nerstream_build_info", version=__version__) == 1


def test_process_metrics_are_there(scraped: Scraped) -> None:
    assert (scraped.value("process_resident_memory_bytes") or 0) > 0
    assert scraped.value("python_gc_collections_total", generation="0") is not None


def test_many_at_once_are_as_many_one_by_one() -> None:
    chance = random.Random(5)
    bounds = (0.1, 0.5, 1.0)
    amounts = [chance.choice((0.0, 0.1, 0.3, 0.5, 1.0, 7.5)) for _ in range(500)]
    registry = CollectorRegistry()
    one_by_one = Histogram("one_by_one", "a", registry=registry, buckets=bounds)
    at_once = BatchHistogram("at_once", "b", registry=registry, buckets=bounds)
    for amount in amounts:
        one_by_one.observe(amount)
    at_once.observe_many(amounts)
    at_once.observe_many([])
    for bound in ("0.1", "0.5", "1.0", "+Inf"):
        expected, counted = (
            registry.get_sample_value(f"{name}_bucket", {"le": bound})
            for name in ("one_by_one", "at_once")
        )
        assert expected == counted
        assert counted is not None
        assert counted > 0
    assert registry.get_sample_value("at_once_count") == 500
    assert registry.get_sample_value("at_once_sum") == pytest.approx(sum(amounts))


def test_spans_are_counted_by_what_became_of_them(scraped: Scraped) -> None:
    for fate in SpanFate:
        assert scraped.value("nerstream_trace_spans_total", fate=fate.value) == 0
    scraped.metrics.spans(SpanFate.DROPPED, 3)
    assert scraped.value("nerstream_trace_spans_total", fate="dropped") == 3


def test_a_second_model_is_counted_by_what_became_of_its_articles_and_by_type(
    scraped: Scraped,
) -> None:
    for fate in ShadowFate:
        assert scraped.value("nerstream_shadow_articles_total", fate=fate.value) == 0
    assert scraped.value("nerstream_shadow_running") == 0
    scraped.metrics.shadow_running(True)
    scraped.metrics.shadow_articles(ShadowFate.WORKER_BUSY, 4)
    scraped.metrics.shadow_entities(FoundBy.BOTH, {"PER": 2, "LOC": 1})
    assert scraped.value("nerstream_shadow_running") == 1
    assert scraped.value("nerstream_shadow_articles_total", fate="worker_busy") == 4
    assert scraped.value("nerstream_shadow_entities_total", type="PER", found_by="both") == 2
