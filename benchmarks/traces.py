"""What traces cost: `python -m benchmarks.traces`.

A worker with a tagger that does nothing drains the same articles without traces, and with a share
of them traced, in turns on one broker. What counts is what comes after the first tenth: articles a
second, and the processor time of the worker, which neighbours on the machine disturb less. The
receiver takes what is sent and looks at none of it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.processes.draining import Drained, by_label, drained
from consumer.bench.articles import news_articles
from tests.integration.rigs.worker_process import WorkerProcess
from tests.integration.servers.kafka_server import KafkaServer

#: The worker, with a tagger that does nothing.
COMMAND = ("-m", "benchmarks.processes.null_worker")

#: Of the articles of the other runs, those of a run in which each is traced: they take ten times as
#: long.
_FEWER = 5

#: By name, what the worker is told beside the address of the receiver.
WAYS: Mapping[str, Mapping[str, str]] = {
    "off": {},
    "share 0": {"traces": "on", "traces_share": "0"},
    "share 0.01": {"traces": "on", "traces_share": "0.01"},
    "share 1": {"traces": "on", "traces_share": "1"},
}


def main() -> None:
    """Run all, print a table and, on request, write the record."""
    parser = argparse.ArgumentParser(description="what traces cost")
    parser.add_argument("--count", type=int, default=100_000, help="articles of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--article-bytes", type=int, default=2_048)
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    values = news_articles(2_000, 1, asked.article_bytes)
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    costs: dict[str, list[float]] = {name: [] for name in WAYS}
    spans: dict[str, Mapping[str, float]] = {}
    with KafkaServer(on_disk=True) as kafka, _receiver() as address:
        drained(kafka.bootstrap_servers, values, asked.count // 2, {}, COMMAND)
        for number in range(asked.rounds):
            for name in tuple(WAYS)[:: 1 if number % 2 else -1]:
                count = asked.count // (_FEWER if name == "share 1" else 1)
                where = (kafka.bootstrap_servers, address, WAYS[name])
                found, spans[name] = _run(*where, values, count)
                rates[name].append(found.rate)
                costs[name].append(found.cpu_us)
                print(f"{number + 1}: {name}: {found}", file=sys.stderr)
    record: dict[str, Any] = {
        "benchmark": "traces",
        "machine": asked.machine,
        "article_bytes": asked.article_bytes,
        "articles": asked.count,
        "articles_per_s": {
            name: {"median": statistics.median(found), "runs": [round(one) for one in found]}
            for name, found in rates.items()
        },
        "cpu_us_per_article": {
            name: {"median": statistics.median(found), "runs": [round(one, 1) for one in found]}
            for name, found in costs.items()
        },
        "of_off": {
            what: {
                name: statistics.median(
                    one / without for one, without in zip(found, figures["off"], strict=True)
                )
                for name, found in figures.items()
            }
            for what, figures in (("articles_per_s", rates), ("cpu_us_per_article", costs))
        },
        "spans_of_the_last_run": spans,
    }
    for name, figures in record["articles_per_s"].items():
        ratios = [found[name] for found in record["of_off"].values()]
        print(
            f"{name:12} {figures['median']:>9,.0f} articles/s, {ratios[0]:.3f} of off; processor "
            f"time {ratios[1]:.3f} of off; spans {spans[name]}"
        )
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


@contextmanager
def _receiver() -> Iterator[str]:
    """Takes what comes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """None."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _run(
    bootstrap: str, receiver: str, way: Mapping[str, str], values: Sequence[bytes], count: int
) -> tuple[Drained, Mapping[str, float]]:
    """What the worker made of the backlog, and what became of its spans."""
    spans: dict[str, float] = {}

    def look(made: WorkerProcess) -> None:
        spans.update(by_label(made, "nerstream_trace_spans_total"))

    flags = {**way, "traces_endpoint": receiver}
    return drained(bootstrap, values, count, flags, COMMAND, look), spans


if __name__ == "__main__":
    main()
