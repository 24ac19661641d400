"""`make faults`: the whole matrix, with progress; writes its page when all rows were run.

`python -m tests.faults [--rows NAME ...] [--again] [--delivery MODE] [--rate N] [--messages N]`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import KafkaException
from rich.console import Console

from tests.faults.broker import Broker, running_broker, running_cluster
from tests.faults.report import Entry, entry, write, write_again
from tests.faults.result import Result
from tests.faults.row import Row
from tests.faults.rows import BY_NAME, ROWS
from tests.integration.kafka_server import ROOT, KafkaUnavailable
from tests.integration.registry_server import RegistryMissing


def main() -> int:
    """0 when no invariant was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rows", nargs="*", choices=sorted(BY_NAME), help="default: all")
    parser.add_argument(
        "--again",
        action="store_true",
        help="put the rows into the record of the whole matrix, marked as run again",
    )
    parser.add_argument("--delivery", help="one mode only")
    parser.add_argument("--rate", type=float, default=600, help="messages a second (600)")
    parser.add_argument(
        "--messages", type=int, default=3_000, help="least messages of a row (3000)"
    )
    parser.add_argument("--logs", type=Path, help="where the workers' logs are kept")
    arguments = parser.parse_args()
    rows = [BY_NAME[name] for name in arguments.rows] if arguments.rows else list(ROWS)
    runs = [
        (row, delivery)
        for row in rows
        for delivery in row.deliveries
        if arguments.delivery in (None, delivery)
    ]
    folder = arguments.logs or Path(tempfile.mkdtemp(prefix="nerstream-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False)
    console.print(f"{len(runs)} runs of {len(rows)} rows; the workers' logs are in {folder}")
    entries: list[Entry] = []
    began = time.monotonic()
    try:
        for kafka, cluster in ((running_broker, False), (running_cluster, True)):
            here = [(row, delivery) for row, delivery in runs if row.cluster is cluster]
            if not here:
                continue
            with kafka() as broker:
                for row, delivery in here:
                    label = f"[{len(entries) + 1}/{len(runs)}] {row.name} ({delivery})"
                    with console.status(f"{label}: {row.title}"):
                        one = _run(row, delivery, broker, folder, arguments)
                    entries.append(one)
                    console.print(f"{label}: {_told(one)}")
    except (KafkaUnavailable, RegistryMissing) as missing:
        print(missing, file=sys.stderr)
        return 1
    red = [one for one in entries if one.violations]
    minutes = (time.monotonic() - began) / 60
    messages = sum(one.messages for one in entries)
    console.print(
        f"{len(entries) - len(red)} of {len(entries)} runs green, {messages:,} messages, "
        f"{minutes:.1f} minutes"
    )
    if len(runs) == sum(len(row.deliveries) for row in ROWS):
        write(ROOT / "docs" / "notes", entries, datetime.now(UTC).strftime("%Y-%m-%d"))
        console.print("written: docs/notes/faults.md")
    elif arguments.again:
        write_again(ROOT / "docs" / "notes", entries, datetime.now(UTC).strftime("%Y-%m-%d"))
        console.print("written: docs/notes/faults.md, with these rows run again")
    return 1 if red else 0


def _run(
    row: Row, delivery: str, broker: Broker, folder: Path, arguments: argparse.Namespace
) -> Entry:
    began = time.monotonic()
    try:
        result = row.run(broker, folder, delivery, rate=arguments.rate, at_least=arguments.messages)
    except (AssertionError, KafkaException, OSError, RuntimeError) as failure:
        # A worker that hangs or ends is a red row, and the next ones are of interest all the same.
        result = Result()
        result.verdict = type(result.verdict)(0, 0, (f"{type(failure).__name__}: {failure}",))
        if not broker.server.running:
            broker.server.restart()
    return entry(row, delivery, time.monotonic() - began, result)


def _told(one: Entry) -> str:
    if one.violations:
        return "[red]RED[/red] " + "\n    ".join(one.violations)
    recovery = (
        f", recovery {one.recovery_p50_s} s (max {one.recovery_max_s} s)"
        if one.recovery_p50_s is not None
        else ""
    )
    return (
        f"[green]ok[/green] in {one.seconds:.0f} s: {one.messages:,} messages, "
        f"{one.faults} faults, {one.lost} lost, {one.doubled} doubled{recovery}"
    )


if __name__ == "__main__":
    sys.exit(main())
