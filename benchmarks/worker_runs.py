"""The recorded runs of `nerstream bench worker`: `python -m benchmarks.worker_runs NAME ...`.

Each starts an Apache Kafka, runs the command once and writes `benchmarks/results/worker-NAME.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.integration.servers.kafka_server import KafkaServer

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

#: Takes the place of the model's name: a folder that `save_random_model` writes.
BERT_BASE = "bert-base"

#: Segments of the size that Kafka has by default, so that none is rolled in the midst of a run.
_BROKER = {"log.segment.bytes": 2**30}


@dataclass(frozen=True, slots=True)
class Run:
    """Arguments of the command, and variables of its environment."""

    arguments: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)


_ALO = ("--delivery", "at_least_once")
_ONLY = ("--throughput-only",)
_NULL = ("--tagger", "null", "--article-bytes", "2048")

#: Comes before a run: a broker that has just started compiles its code, and makes its own topics
#: for groups and transactions when the first of them comes.
WARM_UP = (*_NULL, *_ONLY, "--seconds", "2")

RUNS: Mapping[str, Run] = {
    "bundled": Run(("--seconds", "20")),
    "bundled-at-least-once": Run(("--seconds", "20", *_ONLY, *_ALO)),
    "bundled-two-workers": Run(("--seconds", "20", *_ONLY, "--workers", "2", "--threads", "1")),
    "bert-base": Run(
        ("--model", BERT_BASE, "--seconds", "40", "--batch-tokens", "4096", *_ONLY),
    ),
    "null": Run((*_NULL, "--seconds", "12")),
    "null-at-least-once": Run((*_NULL, "--seconds", "12", *_ONLY, *_ALO)),
    "null-1-partition": Run((*_NULL, "--seconds", "8", *_ONLY, "--partitions", "1")),
    "null-16-partitions": Run((*_NULL, "--seconds", "8", *_ONLY, "--partitions", "16")),
    "null-two-workers": Run((*_NULL, "--seconds", "12", *_ONLY, "--workers", "2")),
    "tokenizer": Run(("--tagger", "tokenizer", "--seconds", "12", *_ONLY)),
    "tokenizer-one-core": Run(
        ("--tagger", "tokenizer", "--seconds", "12", *_ONLY), {"RAYON_NUM_THREADS": "1"}
    ),
}


def main() -> None:
    """Make the runs that are named, or all."""
    parser = argparse.ArgumentParser(description="recorded runs of nerstream bench worker")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--machine", required=True, help="what to call this machine")
    parser.add_argument(
        "--suffix", default="", help="of the files' names, for another kind of processor: plain"
    )
    asked = parser.parse_args()
    for name in asked.names or RUNS:
        print(f"{name} ...", file=sys.stderr)
        record = _record(RUNS[name])
        record = {"name": name, **record, "machine": asked.machine}
        RESULTS.mkdir(exist_ok=True)
        ending = f"-{asked.suffix}" if asked.suffix else ""
        (RESULTS / f"worker-{name}{ending}.json").write_text(json.dumps(record, indent=1) + "\n")


def _record(run: Run) -> dict[str, Any]:
    with (
        KafkaServer(_BROKER, on_disk=True) as server,
        TemporaryDirectory(prefix="nerstream-bench-") as folder,
    ):
        arguments = list(run.arguments)
        if BERT_BASE in arguments:
            # Here, since torch takes seconds to import.
            from consumer.bench.model.random_model import save_random_model

            save_random_model(Path(folder))
            arguments[arguments.index(BERT_BASE)] = folder
        bench(server.bootstrap_servers, WARM_UP)
        record = bench(server.bootstrap_servers, arguments, run.variables)
    record["arguments"] = " ".join(run.arguments)
    record["variables"] = dict(run.variables)
    if BERT_BASE in run.arguments:
        record["model"] = "BERT-base geometry, random weights"
    return record


def bench(
    bootstrap: str, arguments: Sequence[str], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What `nerstream bench worker` finds."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "consumer", "bench", "worker", "--json"),
            *("--bootstrap-servers", bootstrap, *arguments),
        ],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **(variables or {})},
        check=True,
    )
    record: dict[str, Any] = json.loads(done.stdout)
    return record


if __name__ == "__main__":
    main()
