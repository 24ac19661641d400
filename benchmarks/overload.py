"""Memory of a worker that gets far more than it can do: `python -m benchmarks.overload`.

Hundreds of megabytes of articles wait in Kafka, and the model does some tens of kilobytes a second.
Memory is what the kernel counts, before the first article and at its most.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from pathlib import Path

from consumer.bench.articles import news_articles
from consumer.bench.worker.load import Load
from consumer.bench.worker.process import BenchWorker
from consumer.bench.worker.taggers import TaggerKind
from consumer.kafka.tools.topics import temporary_topics
from consumer.settings.schema import Settings
from tests.integration.servers.kafka_server import KafkaServer

MIB = 2**20

#: Bounds of `in_flight_bytes` that are tried, in MiB.
BOUNDS_MIB = (16, 64, 256)


def main() -> None:
    """Try each bound; print, and write the record."""
    parser = argparse.ArgumentParser(description="memory under overload")
    parser.add_argument("--article-bytes", type=int, default=20_000)
    parser.add_argument("--backlog-mib", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=25.0, help="under load")
    parser.add_argument("--machine", required=True, help="what to call this machine")
    parser.add_argument("--record", type=Path)
    asked = parser.parse_args()
    found = []
    with KafkaServer(on_disk=True) as server:
        for bound_mib in BOUNDS_MIB:
            found.append(_measure(asked, server.bootstrap_servers, bound_mib))
            print(json.dumps(found[-1]))
    record = {
        "benchmark": "overload",
        "machine": asked.machine,
        "model": "bundled",
        "article_bytes": asked.article_bytes,
        "backlog_mib": asked.backlog_mib,
        "seconds": asked.seconds,
        "bounds": found,
    }
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


def _measure(asked: argparse.Namespace, bootstrap: str, bound_mib: int) -> dict[str, float]:
    mark = uuid.uuid4().hex[:8]
    settings = Settings(
        bootstrap_servers=bootstrap,
        input_topics=(f"overload-in-{mark}",),
        output_topic=f"overload-out-{mark}",
        dead_letter_topic=f"overload-dead-{mark}",
        group_id=f"overload-{mark}",
        model="bundled",
        in_flight_bytes=bound_mib * MIB,
        in_flight_articles=1_000_000,  # the bound of bytes is the one that holds
    )
    topics = (settings.input_topics[0], settings.output_topic, settings.dead_letter_topic)
    values = news_articles(200, 1, asked.article_bytes)
    with (
        temporary_topics(settings, topics, 4),
        BenchWorker(settings, TaggerKind.MODEL) as worker,
    ):
        worker.wait_ready()
        idle = worker.peak_bytes
        load = Load(settings, values)
        load.fill(asked.backlog_mib * MIB // asked.article_bytes)
        time.sleep(asked.seconds)
        reading = worker.read()
        return {
            "in_flight_bound_mib": bound_mib,
            "in_flight_mib": reading.value("nerstream_in_flight_bytes") / MIB,
            "waiting_mib": (load.sent - reading.resolved) * asked.article_bytes / MIB,
            "resolved_articles": reading.resolved,
            "idle_peak_mib": idle / MIB,
            "peak_mib": worker.peak_bytes / MIB,
        }


if __name__ == "__main__":
    main()
