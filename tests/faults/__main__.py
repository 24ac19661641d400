"""`make faults`: the whole matrix, with progress; writes its page of the seeds with which all rows
were run.

`python -m tests.faults [--seeds N ...] [--rows NAME ...] [--delivery MODE] [--resume]`

Each row's result is kept as soon as it is there. A run that was stopped, or that ended after
`--at-most N` rows, goes on with `--resume`; several may go on at once, each with its own brokers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from confluent_kafka import KafkaException
from rich.console import Console

from tests.faults.brokers.broker import Broker, running_broker, running_cluster
from tests.faults.checker.invariants import Verdict
from tests.faults.matrix.entry import Entry
from tests.faults.matrix.report import SEEDS, write, write_again
from tests.faults.matrix.result import Result
from tests.faults.matrix.results import Results, Run
from tests.faults.matrix.scene import Scene
from tests.faults.rows.table import BY_NAME, ROWS
from tests.integration.servers.kafka_server import ROOT, KafkaUnavailable
from tests.integration.servers.registry_server import RegistryMissing

_NOTES = ROOT / "docs" / "notes"

#: Where results and logs are kept between the pieces of a run.
_KEPT = ROOT / "build" / "faults"

#: No row is red, and some are still to be run.
_NOT_ALL = 3


def main() -> int:
    """0 when all rows were run and no invariant was violated, 1 when one was, 3 when rows are still
    to be run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", nargs="*", choices=sorted(BY_NAME), help="default: all")
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS, help="default: 1 2 3")
    parser.add_argument("--delivery", help="one mode only")
    parser.add_argument("--resume", action="store_true", help="leave out what was run before")
    parser.add_argument("--at-most", type=int, help="end after so many runs; --resume goes on")
    parser.add_argument(
        "--again",
        metavar="WHY",
        help="run these by themselves, and put them into the record of the whole matrix, with this "
        "reason",
    )
    parser.add_argument("--rate", type=float, default=600, help="messages a second (600)")
    parser.add_argument(
        "--messages", type=int, default=3_000, help="least messages of a row (3000)"
    )
    parser.add_argument(
        "--kept",
        type=Path,
        default=_KEPT,
        help="folder of the results and the workers' logs (build/faults)",
    )
    arguments = parser.parse_args()
    Scene.starts_cold = True
    runs = [
        Run(row, delivery, seed)
        for seed in arguments.seeds
        for row in ([BY_NAME[name] for name in arguments.rows] if arguments.rows else ROWS)
        for delivery in row.deliveries
        if arguments.delivery in (None, delivery)
    ]
    folder: Path = arguments.kept / "again" if arguments.again else arguments.kept
    results = Results(folder)
    if not (arguments.resume or results.is_empty):
        print(
            f"{folder} holds the results of an earlier run: --resume goes on with it; remove the "
            "folder to begin anew",
            file=sys.stderr,
        )
        return 2
    console = Console(highlight=False)
    console.print(f"{len(runs)} runs; results and the workers' logs are in {folder}")
    try:
        _run_all(runs, results, folder, arguments, console)
    except (KafkaUnavailable, RegistryMissing) as missing:
        print(missing, file=sys.stderr)
        return 1
    return _close(runs, results, arguments.again, console)


def _run_all(
    runs: Sequence[Run],
    results: Results,
    folder: Path,
    arguments: argparse.Namespace,
    console: Console,
) -> None:
    left = len(runs) if arguments.at_most is None else arguments.at_most
    # One seed after the other, so that what was stopped has whole ones.
    for seed, (kafka, cluster) in product(
        dict.fromkeys(run.seed for run in runs),
        ((running_broker, False), (running_cluster, True)),
    ):
        here = [
            run
            for run in runs
            if (run.seed, run.row.cluster) == (seed, cluster) and not results.has(run)
        ]
        if not here or not left:
            continue
        with kafka() as broker:
            for run in here:
                if not left:
                    break
                with results.claimed(run) as is_ours:
                    if not is_ours:
                        continue
                    left -= 1
                    label = f"[{runs.index(run) + 1}/{len(runs)}] {run.name}"
                    with console.status(f"{label}: {run.row.title}"):
                        entry = _run(run, broker, folder, arguments)
                    results.keep(run, entry)
                console.print(f"{label}: {_told(entry)}")


def _run(run: Run, broker: Broker, folder: Path, arguments: argparse.Namespace) -> Entry:
    row, delivery, seed = run
    began, at = time.monotonic(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    logs = folder / run.name
    logs.mkdir(exist_ok=True)
    try:
        result = row.run(
            broker, logs, delivery, rate=arguments.rate, at_least=arguments.messages, seed=seed
        )
    except (AssertionError, KafkaException, OSError, RuntimeError) as failure:
        # A worker that hangs or ends is a red row, and the next ones are of interest all the same.
        result = Result()
        result.verdict = Verdict(0, 0, (f"{type(failure).__name__}: {failure}",))
        if not broker.server.running:
            broker.server.restart()
    return Entry.of(row, delivery, seed, at, time.monotonic() - began, result)


def _close(runs: Sequence[Run], results: Results, again: str | None, console: Console) -> int:
    """Say what came of it, and write the record if it is whole."""
    entries = results.of(runs)
    red = [one for one in entries if one.violations]
    console.print(
        f"{len(entries) - len(red)} of {len(entries)} runs green, "
        f"{sum(one.messages for one in entries):,} messages, "
        f"{sum(one.seconds for one in entries) / 60:.1f} minutes"
    )
    for one in red:
        console.print(f"[red]RED[/red] {' '.join(map(str, one.key))}")
    if again:
        if len(entries) == len(runs):
            write_again(_NOTES, entries, datetime.now(UTC).strftime("%Y-%m-%d"), again)
            console.print("written: docs/notes/faults.md, with these runs by themselves")
    elif seeds := write(_NOTES, entries):
        console.print(f"written: docs/notes/faults.md, of the seeds {', '.join(map(str, seeds))}")
    if len(entries) < len(runs):
        console.print(f"{len(runs) - len(entries)} are still to be run: --resume")
        return 1 if red else _NOT_ALL
    return 1 if red else 0


def _told(one: Entry) -> str:
    if one.violations:
        return "[red]RED[/red] " + "\n    ".join(one.violations)
    recovery = (
        f", recovery {one.recovery_p50_s} s (max {one.recovery_max_s} s)"
        if one.recovery_p50_s is not None
        else ""
    )
    return (
        f"[green]ok[/green] in {one.seconds:.0f} s ({one.feed or 'dead letters'}): "
        f"{one.messages:,} messages, {one.faults} faults, {one.lost} lost, "
        f"{one.doubled} doubled{recovery}"
    )


if __name__ == "__main__":
    sys.exit(main())
