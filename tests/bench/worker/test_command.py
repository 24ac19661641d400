"""`nerstream bench worker` on the embedded broker."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer.bench.worker import command as bench_worker

ROOT = Path(__file__).parents[3]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "consumer", "bench", "worker", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def latency_counts(found: dict[str, Any]) -> tuple[int, int]:
    """Articles at full load, and single ones."""
    latency = found["latency"]
    return latency["full"]["articles"], latency["single"]["articles"]


def test_the_whole_of_it_as_one_object() -> None:
    done = bench("--tagger", "null", "--seconds", "0.2", "--json", "--article-bytes", "1000")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = orjson.loads(done.stdout)
    assert (found["tagger"], found["broker"]) == ("null", "embedded")
    assert found["delivery"] == "at_least_once"
    rates = found["throughput"]
    # 0.2 s at the rate that is guessed at; how many of them find a full window, the machine says.
    assert 0 < rates["articles"] <= 5_000
    assert rates["articles_per_s"] == pytest.approx(rates["articles"] / rates["seconds"])
    assert latency_counts(found) == (5_000, 20)
    assert 960 < found["articles"]["mean_bytes"] <= 1_000
    assert 0 < rates["busy"]["publish"] < 1
    latency = found["latency"]
    for load in ("full", "half", "single"):
        assert 0 < latency[load]["p50_s"] <= latency[load]["p99_s"] <= latency[load]["max_s"]
    start = found["start"]
    assert sum(start.values()) - start["total_s"] <= start["total_s"]
    assert all(start[part] > 0 for part in ("imports_s", "model_s", "producer_s", "group_s"))
    assert found["peak_bytes"] > 30 * 2**20


def test_the_rate_is_that_of_a_full_window() -> None:
    """Neither its filling nor its emptying is part of it."""
    done = bench(
        "--tagger", "null", "--seconds", "0.2", "--json", "--article-bytes", "8000",
        "--throughput-only",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rates = orjson.loads(done.stdout)["throughput"]
    # Which of the 5,000 those are is for `test_load.py` and `test_figures.py`.
    assert 0 < rates["articles"] <= 5_000
    assert rates["articles_per_s"] == pytest.approx(rates["articles"] / rates["seconds"])


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("--partitions", "8"), "5 workers share 4 partitions, so some would have none; take"),
        (
            ("--bootstrap-servers", "127.0.0.1:9", "--partitions", "3"),
            "5 workers share 3 partitions, so some would have none; take --workers 3, or "
            "--partitions 5",
        ),
    ],
)
def test_each_worker_needs_a_partition(arguments: tuple[str, ...], remedy: str) -> None:
    done = bench("--tagger", "null", "--workers", "5", *arguments)
    assert done.returncode == 2
    assert f"--workers: {remedy}" in done.stderr


def test_transactions_need_a_broker_that_has_them() -> None:
    done = bench("--tagger", "null", "--delivery", "exactly_once")
    assert done.returncode == 2
    assert "the embedded broker, which has no transactions" in done.stderr
    assert done.stdout == ""


def test_workers_of_the_embedded_broker_may_join_late() -> None:
    """See `test_who_joins_late_waits_for_no_session_under_the_consumer_protocol`."""
    asked = argparse.ArgumentParser()
    bench_worker.add_arguments(asked)
    found = bench_worker.settings_of(asked.parse_args(["--tagger", "null"]))
    assert (found.bootstrap_servers, found.group_protocol) == ("embedded", "consumer")
    elsewhere = bench_worker.settings_of(asked.parse_args(["--bootstrap-servers", "a:1"]))
    assert elsewhere.group_protocol == "classic"
