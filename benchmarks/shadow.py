"""What a second model beside the first costs: `python -m benchmarks.shadow`.

A worker with the bundled model drains a backlog, and tags articles that come at a third of that
rate, with and without the same model as `shadow_model`, in turns on one broker. Under the backlog
the second model is to give way; between articles it is to work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.draining import by_label, drained, published, site, worker
from consumer.bench.articles import news_articles
from consumer.bench.worker.load import Load
from tests.integration.kafka_server import KafkaServer

COMMAND = ("-m", "consumer", "run")
SERVING: Mapping[str, Any] = {"model": "bundled", "threads": 0}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "without": {},
    "with": {"shadow_model": "bundled", "shadow_share": 0.05},
}


def main() -> None:
    """Run all, print a table and, on request, write the record."""
    parser = argparse.ArgumentParser(description="what a second model costs")
    parser.add_argument("--count", type=int, default=400, help="articles of each backlog")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12.0, help="of articles at a third")
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    values = news_articles(2_000, 1, 0)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    with KafkaServer() as kafka:
        for number in range(asked.rounds):
            for name in tuple(WAYS)[:: 1 if number % 2 else -1]:
                runs[name].append(_run(kafka.bootstrap_servers, values, WAYS[name], asked))
                print(f"round {number + 1}: {name}: {runs[name][-1]}", file=sys.stderr)
    record: dict[str, Any] = {
        "benchmark": "shadow",
        "machine": asked.machine,
        "articles": asked.count,
        "runs": runs,
        "of_without": {
            figure: statistics.median(
                shadowed[figure] / plain[figure]
                for shadowed, plain in zip(runs["with"], runs["without"], strict=True)
            )
            for figure in ("backlog_articles_per_s", "paced_mean_latency_s")
        },
    }
    for figure, ratio in record["of_without"].items():
        print(f"{figure}: {ratio:.3f} of without")
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


def _run(
    bootstrap: str, values: Sequence[bytes], way: Mapping[str, Any], asked: argparse.Namespace
) -> dict[str, Any]:
    fates: dict[str, Any] = {}
    flags = {**SERVING, **way}
    backlog = drained(
        *(bootstrap, values, asked.count, flags, COMMAND),
        lambda one: fates.update(backlog=by_label(one, "nerstream_shadow_articles_total")),
    )
    # By an assumed rate that is the same for both ways, so that both have the same load.
    every_s = 3 / 50
    with site(bootstrap) as here, worker(here, flags, COMMAND) as made:
        load = Load(here.settings, values)
        sent, started = 0, time.perf_counter()
        while time.perf_counter() - started < asked.seconds:
            load.fill(1)
            sent += 1
            time.sleep(max(0.0, started + sent * every_s - time.perf_counter()))
        while published(made) < sent:
            time.sleep(0.05)
        name = "nerstream_end_to_end_latency_seconds"
        latency_s = made.metric(f"{name}_sum") / made.metric(f"{name}_count")
        fates["paced"] = by_label(made, "nerstream_shadow_articles_total")
    return {
        "backlog_articles_per_s": backlog.rate,
        "paced_articles": sent,
        "paced_mean_latency_s": latency_s,
        "fates": fates,
    }


if __name__ == "__main__":
    main()
