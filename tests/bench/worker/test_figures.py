"""What the benchmark works out of the worker's counters, and how it prints it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from consumer.bench.worker.figures import full_window, printed, shares, throughput, together
from consumer.bench.worker.group import merged
from consumer.bench.worker.load import Latencies
from consumer.bench.worker.process import Reading


def reading(at: float, published: int, cpu_s: float = 0.0, **samples: float) -> Reading:
    return Reading(
        at,
        cpu_s,
        {
            "nerstream_articles_published_total": published,
            'nerstream_tokens_total{model="m",revision="1"}': 100.0 * published,
            'nerstream_computed_tokens_total{model="m",revision="1"}': 125.0 * published,
            'nerstream_stage_duration_seconds_sum{stage="tag"}': at * 0.75,
            "nerstream_batch_articles_count": published / 10,
            "nerstream_batch_articles_sum": published,
            **samples,
        },
    )


def test_rates_begin_when_a_tenth_is_done() -> None:
    readings = [
        reading(0, 0),
        reading(5, 50),  # a slow beginning
        reading(6, 100, cpu_s=1.0),
        reading(8, 500),
        reading(10, 1_000, cpu_s=4.0),
    ]
    found = throughput(readings)
    assert found["articles_per_s"] == 225
    assert found["tokens_per_s"] == 22_500
    alone = {"tokens_per_s": 30_000.0, "model_only_tokens_per_s": 45_000.0}
    assert shares(found, alone) == {"share_of_alone": 0.75, "share_of_model_only": 0.5}
    assert shares(found, {"tokens_per_s": 90_000.0}) == {"share_of_alone": 0.25}
    assert found["busy"]["tag"] == pytest.approx(0.75)
    assert found["busy"]["commit"] == 0
    assert found["padding_ratio"] == pytest.approx(0.2)
    assert found["batch_articles"] == pytest.approx(10)
    assert found["cores"] == 0.75
    assert found["cpu_us_per_article"] == pytest.approx(3.0 / 900 * 1e6)


def test_two_readings_are_taken_whole_with_the_seconds_that_are_given() -> None:
    found = throughput([reading(0, 100), reading(9, 300)], 4.0)
    assert found["articles_per_s"] == 50


def test_the_rate_is_that_of_a_full_window() -> None:
    """Neither its filling nor its emptying is part of it."""
    whole = [reading(0, 0), reading(10, 5_000)]
    found = full_window([reading(2, 600), reading(7, 4_350)], whole, 9.0)
    assert (found["articles"], found["articles_per_s"]) == (3_750, 750)


@pytest.mark.parametrize(
    "marked", [[], [reading(2, 600)], [reading(9, 5_000), reading(9.1, 5_000)]]
)
def test_a_window_that_nothing_came_out_of_does_not_count(marked: list[Reading]) -> None:
    whole = [reading(0, 0), reading(10, 5_000)]
    found = full_window(marked, whole, 8.0)
    assert (found["articles"], found["articles_per_s"]) == (5_000, 625)


def test_runs_of_the_tagger_alone_count_by_their_time() -> None:
    runs = ({"tokens_per_s": 100.0, "seconds": 30.0}, {"tokens_per_s": 60.0, "seconds": 10.0})
    assert together(*runs) == {"tokens_per_s": 90.0, "seconds": 40.0}


def test_rejected_messages_and_tombstones_count_as_done() -> None:
    one = reading(
        0,
        5,
        nerstream_tombstones_published_total=2,
        **{
            'nerstream_messages_rejected_total{code="no_text"}': 3,
            'nerstream_messages_rejected_total{code="too_large"}': 1,
        },
    )
    assert one.resolved == 11


def test_percentiles_are_by_nearest_rank() -> None:
    latencies = Latencies(10.0, 1.0, [n / 1000 for n in range(1, 101)])
    assert latencies.percentile(50) == 0.051
    assert latencies.percentile(99) == 0.1
    assert latencies.figures()["max_s"] == 0.1
    assert Latencies(0.0, 1.0, ()).percentile(50) == 0.0


def test_the_table_names_what_was_measured() -> None:
    alone = {"tokens_per_s": 20_000.0, "model_only_tokens_per_s": 25_000.0}
    rates = throughput([reading(0, 0), reading(10, 1_000)])
    rates |= shares(rates, alone)
    latency = Latencies(50.0, 2.0, [0.01] * 100).figures()
    out = io.StringIO()
    printed(
        {
            "tagger": "model",
            "model": "bundled",
            "delivery": "exactly_once",
            "broker": "Apache Kafka",
            "alone": alone,
            "throughput": rates,
            "latency": {"window_articles": 8, "half": latency, "single": latency},
            "start": {
                "total_s": 3.25,
                "imports_s": 0.5,
                "model_s": 2.0,
                "producer_s": 0.25,
                "group_s": 0.5,
            },
            "peak_bytes": 512 * 2**20,
        },
        Console(file=out, width=120),
    )
    text = " ".join(out.getvalue().split())
    assert "model, bundled" in text
    assert "of the tagger alone 50.0% of 20,000 tokens/s" in text
    assert "of the model only 40.0% of 25,000 tokens/s" in text
    assert "latency, half load p50 10, p95 10, p99 10 ms at 50.0 articles/s" in text
    assert "latency, idle worker" in text
    assert "3.2 s (imports 0.5, model 2.0, producer 0.2, group 0.5)" in text
    assert "512 MiB" in text


def test_workers_of_one_group_are_added_up() -> None:
    found = merged([reading(1, 10, cpu_s=0.5), reading(1.5, 30, cpu_s=0.25)])
    assert (found.at, found.cpu_s, found.resolved) == (1.5, 0.75, 40)
    assert found.total("nerstream_tokens_total") == 4_000
