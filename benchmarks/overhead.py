"""What a message costs beside the model, next to peers: `python -m benchmarks.overhead`.

nerstream with a tagger that does nothing, Quix Streams passing JSON through, and a bare loop, in
turns on the same broker with the same articles. Each drains a backlog by itself; what counts is
the rate after its first tenth. Quix Streams runs in an environment of its own (`make peers`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import version as client_version

from benchmarks.worker_runs import WARM_UP, bench
from consumer.bench.articles import news_articles
from consumer.bench.worker.load import Load
from consumer.kafka.tools.topics import temporary_topics
from consumer.settings.schema import Settings
from tests.integration.servers.kafka_server import KafkaServer

ROOT = Path(__file__).resolve().parents[1]

#: The interpreter that has Quix Streams.
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"

PARTITIONS = 4

#: nerstream's own; an article waits so long for the commit that shows it to readers.
_COMMIT_INTERVAL_S = Settings().commit_interval_ms / 1000


def main() -> None:
    """Run all, print a table and, on request, write the record."""
    parser = argparse.ArgumentParser(description="overhead beside peers")
    parser.add_argument("--bootstrap-servers", help="else an Apache Kafka is started")
    parser.add_argument("--count", type=int, default=200_000, help="articles of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--article-bytes", type=int, default=2_048)
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON)
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    with _brokers(asked.bootstrap_servers) as bootstrap:
        runs: dict[str, list[dict[str, Any]]] = {}
        bench(bootstrap, WARM_UP)
        for number in range(asked.rounds):
            for name, measure in _contestants(asked).items():
                print(f"round {number + 1}: {name} ...", file=sys.stderr)
                runs.setdefault(name, []).append(measure(bootstrap))
    record = {
        "benchmark": "overhead",
        "machine": asked.machine,
        "article_bytes": asked.article_bytes,
        "articles": asked.count,
        "rounds": asked.rounds,
        "confluent_kafka": client_version(),
        "articles_per_s": {
            name: {
                "median": statistics.median(one["articles_per_s"] for one in found),
                "runs": [round(one["articles_per_s"]) for one in found],
            }
            for name, found in runs.items()
        },
        "nerstream": {name: found for name, found in runs.items() if name.startswith("nerstream")},
    }
    for name, figures in record["articles_per_s"].items():
        print(f"{name:32} {figures['median']:>10,.0f} articles/s   {figures['runs']}")
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


@contextlib.contextmanager
def _brokers(bootstrap: str | None) -> Iterator[str]:
    if bootstrap is not None:
        yield bootstrap
        return
    with KafkaServer(on_disk=True) as server:
        yield server.bootstrap_servers


def _contestants(asked: argparse.Namespace) -> dict[str, Any]:
    """What to run, by name; each takes the brokers and gives its figures."""
    found: dict[str, Any] = {
        "nerstream, exactly once": lambda b: _nerstream(asked, b, "exactly_once"),
        "nerstream, at least once": lambda b: _nerstream(asked, b, "at_least_once"),
    }
    if asked.peers_python.exists():
        quix = (str(asked.peers_python), "quix_pass_through.py")
        found["Quix Streams, exactly once"] = lambda b: _peer(asked, b, *quix, "exactly-once")
        found["Quix Streams, at least once"] = lambda b: _peer(asked, b, *quix, "at-least-once")
        found["Quix Streams, exactly once, as often"] = lambda b: _peer(
            asked, b, *quix, "exactly-once", "--commit-interval-s", str(_COMMIT_INTERVAL_S)
        )
    else:
        print(
            f"no {asked.peers_python}: Quix Streams is left out; see `make peers`", file=sys.stderr
        )
    found["bare confluent-kafka and orjson"] = lambda b: _peer(
        asked, b, sys.executable, "bare_loop.py"
    )
    return found


def _nerstream(asked: argparse.Namespace, bootstrap: str, delivery: str) -> dict[str, Any]:
    # The benchmark sends a tenth more than what it takes for so many seconds of 25,000 a second.
    seconds = asked.count / 25_000 / 1.1
    arguments = (
        *("--tagger", "null", "--throughput-only", "--delivery", delivery),
        *("--article-bytes", str(asked.article_bytes), "--seconds", str(seconds)),
        *("--partitions", str(PARTITIONS)),
    )
    figures: dict[str, Any] = bench(bootstrap, arguments)["throughput"]
    return figures


def _peer(
    asked: argparse.Namespace, bootstrap: str, python: str, script: str, *arguments: str
) -> dict[str, Any]:
    mark = uuid.uuid4().hex[:8]
    settings = Settings(
        bootstrap_servers=bootstrap,
        input_topics=(f"bench-in-{mark}",),
        output_topic=f"bench-out-{mark}",
        dead_letter_topic=f"bench-dead-{mark}",
        group_id=f"bench-{mark}",
    )
    topics = (settings.input_topics[0], settings.output_topic)
    with temporary_topics(settings, topics, PARTITIONS):
        Load(settings, news_articles(2_000, 1, asked.article_bytes)).fill(asked.count)
        done = subprocess.run(
            [
                *(python, str(ROOT / "benchmarks" / "peers" / script), bootstrap),
                *(*topics, str(asked.count), *arguments),
            ],
            stdout=subprocess.PIPE,
            check=True,
        )
    return {"articles_per_s": float(done.stdout.split()[-1])}


if __name__ == "__main__":
    main()
