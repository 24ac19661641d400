"""`nerstream bench`: how fast it is, and how fast its peers are on the same machine."""

from __future__ import annotations

import argparse
import importlib

from consumer.argument_parser import ArgumentParser

#: Each is a module `consumer.bench.<name>.command`, a command like any other.
BENCHMARKS = {
    "model": "the tagger's forward pass beside its peers and beside what the processor can do",
    "worker": "the worker from broker to broker: articles a second, latency, time by stage",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which benchmark; the rest of the line belongs to it."""
    listed = "; ".join(f"{name}: {line}" for name, line in BENCHMARKS.items())
    parser.add_argument("benchmark", choices=BENCHMARKS, help=listed)
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        help="of that benchmark; nerstream bench model --help lists those of the first",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark that was chosen; only its module is imported."""
    name = arguments.benchmark
    line = BENCHMARKS[name]
    parser = ArgumentParser(
        prog=f"nerstream bench {name}",
        description=f"{line[0].upper()}{line[1:]}.",
    )
    benchmark = importlib.import_module(f"consumer.bench.{name}.command")
    benchmark.add_arguments(parser)
    return int(benchmark.run(parser.parse_args(arguments.arguments)))
