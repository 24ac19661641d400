"""What it costs to write the header that names the input: `python -m benchmarks.source_header`.

A worker with a tagger that does nothing drains the same articles with and without it, in turns on
one broker. What counts is what comes after the first tenth: articles a second, and the processor
time of the worker, which neighbours on the machine disturb less. A record adds its rounds to those
that it holds. The worker without the header is no older one: what was made cheaper to pay for the
header is as cheap there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.processes.draining import drained
from consumer.bench.articles import news_articles
from tests.integration.servers.kafka_server import KafkaServer

#: By name, what the interpreter runs.
WAYS: Mapping[str, tuple[str, str]] = {
    "without": ("-m", "benchmarks.processes.unnamed_worker"),
    "with": ("-m", "benchmarks.processes.null_worker"),
}


def main() -> None:
    """Run all, print the shares and, on request, write the record."""
    parser = argparse.ArgumentParser(description="what the header costs that names the input")
    parser.add_argument("--count", type=int, default=150_000, help="articles of each run")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--article-bytes", type=int, default=2_048)
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    values = news_articles(2_000, 1, asked.article_bytes)
    rounds: list[dict[str, dict[str, float]]] = []
    with KafkaServer(on_disk=True) as kafka:
        drained(kafka.bootstrap_servers, values, asked.count // 2, {}, WAYS["with"])
        for number in range(asked.rounds):
            one = {}
            for name in tuple(WAYS)[:: 1 if number % 2 else -1]:
                found = drained(kafka.bootstrap_servers, values, asked.count, {}, WAYS[name])
                one[name] = {
                    "articles_per_s": round(found.rate),
                    "cpu_us_per_article": round(found.cpu_us, 2),
                }
                print(f"{number + 1}: {name}: {found}", file=sys.stderr)
            rounds.append(one)
    if asked.record is not None and asked.record.exists():
        rounds = json.loads(asked.record.read_text())["rounds"] + rounds
    record = {
        "benchmark": "source_header",
        "machine": asked.machine,
        "article_bytes": asked.article_bytes,
        "articles": asked.count,
        "of_without": shares(rounds),
        "rounds": rounds,
    }
    print(json.dumps(record["of_without"], indent=1))
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


def shares(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Of each figure, what it is with the header as a share of what it is without, by rounds."""
    found = {}
    for what in ("articles_per_s", "cpu_us_per_article"):
        all_of_them = [one["with"][what] / one["without"][what] for one in rounds]
        quarters = statistics.quantiles(all_of_them, n=4) if len(all_of_them) > 1 else [1.0] * 3
        found[what] = {
            "median": round(statistics.median(all_of_them), 3),
            "quartiles": [round(quarters[0], 3), round(quarters[2], 3)],
        }
    return found


if __name__ == "__main__":
    main()
