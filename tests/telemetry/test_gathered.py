"""Metrics of several workers on one page."""

from __future__ import annotations

import pickle

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from consumer.telemetry.gathered import Gathered, SupervisorMetrics, families_of, total
from consumer.telemetry.registry import gathered_registry, new_registry
from tests.support.scraped import Scraped


def of_a_worker(consumed: int, lag: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("consumed_total", "Messages.", registry=registry).inc(consumed)
    Gauge("lag", "Offsets.", ["partition"], registry=registry).labels("0").set(lag)
    Histogram("seconds", "Time.", registry=registry, buckets=(1.0,)).observe(0.5)
    return registry


def test_each_family_stands_once_with_the_series_of_each_worker() -> None:
    families = {n: families_of(of_a_worker(10 * n, n)) for n in (1, 2)}
    # They travel between processes.
    told = pickle.loads(pickle.dumps(families))
    own = new_registry()
    Gauge("lag", "Offsets.", ["partition"], registry=own).labels("all").set(3)
    registry = gathered_registry(Gathered(own, lambda: told))
    text = generate_latest(registry).decode()
    assert text.count("# TYPE consumed_total counter") == 1
    assert text.count("# TYPE lag gauge") == 1
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["consumed_total", ("worker", "1")] == 10
    assert found["consumed_total", ("worker", "2")] == 20
    assert found["lag", ("partition", "0"), ("worker", "2")] == 2
    assert found["lag", ("partition", "all")] == 3
    assert found["seconds_bucket", ("le", "1.0"), ("worker", "1")] == 1
    # No series adds up the others.
    assert ("consumed_total",) not in found
    assert generate_openmetrics(registry).endswith(b"# EOF\n")


def test_all_that_a_worker_has_can_be_shown() -> None:
    families = {1: families_of(Scraped().registry)}
    own = new_registry()
    metrics = SupervisorMetrics(own)
    metrics.workers({"working": 1})
    metrics.expect(2)
    metrics.restarted(1)
    text = generate_latest(gathered_registry(Gathered(own, lambda: families))).decode()
    assert 'nerstream_workers{state="working"} 1.0' in text
    assert 'nerstream_workers{state="awaited"} 0.0' in text
    assert 'nerstream_worker_restarts_total{worker="1"} 1.0' in text
    assert 'nerstream_worker_restarts_total{worker="2"} 0.0' in text
    assert 'nerstream_messages_consumed_total{worker="1"} 0.0' in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_samples_add_up_by_their_labels() -> None:
    registry = CollectorRegistry()
    counter = Counter("rejected_total", "Messages.", ["code"], registry=registry)
    counter.labels("a").inc(2)
    counter.labels("b").inc(3)
    families = families_of(registry)
    assert total(families, "rejected_total") == 5
    assert total(families, "rejected_total", code="b") == 3
    assert total(families, "unknown_total") == 0
