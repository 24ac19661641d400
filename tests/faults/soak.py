"""Millions of small messages through one worker: `make soak`.

Each has exactly one outcome, and when the first tenth is done the worker has all that it needs:
its memory then grows by less than a twentieth, and no thread, descriptor, transaction, file or
lock is left over. Ends with 1 and says so where that is not so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.brokers.steady_broker import broker
from tests.faults.feeding.traffic import NUMBER_HEADER, Outcome
from tests.faults.long_runs.process_figures import machine
from tests.faults.long_runs.progress import Progress
from tests.faults.long_runs.run_record import RunRecord, versions
from tests.faults.long_runs.through_worker import Passage, Sample, pass_through
from tests.faults.matrix.ground import new_ground
from tests.integration.rigs.helpers import Record

PARTITIONS = 6

#: By how much resident memory may grow after the first tenth.
GROWTH_LIMIT = 0.05

#: Messages that stand there when the worker starts, and that the feeder may be in front of the
#: checker later on: enough that the worker never waits for either, and has fetched ahead as much
#: as it ever does before the first tenth is over.
AHEAD = 200_000

#: One message of so many is not an article.
_BAD_PERIOD = 100


@dataclass(frozen=True, slots=True)
class SoakTraffic:
    """Small articles; one of a hundred is none."""

    messages: int

    def record(self, number: int) -> Record:
        """A message of some hundred bytes."""
        value = b'{"id":"%d","title":"Rain in Lisbon","body":"Diallo won on Monday."}' % number
        return Record(
            value=value[:-9] if number % _BAD_PERIOD == 0 else value,
            key=b"%d" % (number % 997) if number % 3 else None,
            headers=((NUMBER_HEADER, b"%d" % number),),
        )

    def judge(self, sent: Record, outcome: Outcome) -> Sequence[str]:
        """As the protocol says."""
        value, found = sent.value or b"", outcome.record.value or b""
        if value.endswith(b"}"):
            right = outcome.kind == "enriched" and found.startswith(
                value[:-1] + b',"entities":[{"field":"title","type":"NAME","text":"Rain"'
            )
        else:
            right = outcome.kind == "invalid_json" and found == value
        if right and outcome.record.key == sent.key:
            return []
        return [f"wrong outcome: {value!r} became {found!r:.300}"]


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How the worker's figures changed once the first tenth was done.

    What the client has fetched ahead comes and goes with the load; so the most is compared with
    the most.

    Attributes:
        first_bytes: the most resident memory in the first tenth; rest_bytes: the most after it.
        growth: by which share that is more.
        threads, descriptors: the most in the first tenth, and the least in the last.
    """

    first_bytes: int
    rest_bytes: int
    growth: float
    threads: tuple[int, int]
    descriptors: tuple[int, int]


def steadiness(samples: Sequence[Sample], messages: int) -> Steadiness:
    """Compare the first tenth of a run with the rest."""
    first = [one.figures for one in samples if one.resolved <= messages * 0.1]
    rest = [one.figures for one in samples if one.resolved > messages * 0.1]
    last = [one.figures for one in samples if one.resolved >= messages * 0.9]
    if not (first and rest and last):
        raise ValueError("the run was too short for its samples to tell anything")
    # What the kernel has kept, so that no peak between two samples is missed.
    before = first[-1].peak_bytes
    after = rest[-1].peak_bytes
    return Steadiness(
        first_bytes=before,
        rest_bytes=after,
        growth=after / before - 1,
        threads=(max(one.threads for one in first), min(one.threads for one in last)),
        descriptors=(max(one.descriptors for one in first), min(one.descriptors for one in last)),
    )


def faults_of(found: Steadiness, growth_limit: float = GROWTH_LIMIT) -> list[str]:
    """What grew that must not."""
    faults = []
    if found.growth >= growth_limit:
        faults.append(
            f"memory grew: {found.growth:.1%} after the first tenth, "
            f"the limit is {growth_limit:.0%}"
        )
    for name, (before, after) in (("threads", found.threads), ("descriptors", found.descriptors)):
        if after > before:
            faults.append(f"{name} are left over: {after} at the end, {before} in the first tenth")
    return faults


def soak(
    bootstrap: str,
    traffic: SoakTraffic,
    *,
    command: Sequence[str] = ("-m", "tests.faults.workers.light_worker"),
    growth_limit: float = GROWTH_LIMIT,
    progress: Callable[[Sample], None] = lambda _: None,
) -> Passage:
    """Send the messages through a worker; what was broken is in `faults` of the answer."""
    with new_ground(bootstrap, PARTITIONS) as ground:
        passage = pass_through(ground, traffic, {}, ahead=AHEAD, command=command, progress=progress)
    # A run that broke off has no last tenth to look at.
    if not any("died" in fault or "nothing came" in fault for fault in passage.faults):
        passage.faults += faults_of(steadiness(passage.samples, traffic.messages), growth_limit)
    return passage


def record_of(traffic: SoakTraffic, passage: Passage) -> RunRecord:
    """What a run is remembered by."""
    found = steadiness(passage.samples, traffic.messages)
    counts = ", ".join(f"{count:,} `{kind}`" for kind, count in sorted(passage.kinds.items()))
    return RunRecord(
        title="Soak",
        told=(
            "Written by `make soak`: small messages through one worker with a tagger that answers "
            f"at once, `exactly_once`, on Apache Kafka, {PARTITIONS} partitions, fed and read at "
            "the same time; every outcome was checked, and the figures come from the kernel."
        ),
        figures={
            "messages": f"{traffic.messages:,}",
            "outcomes": counts,
            "lost, doubled, out of order, wrong": "0",
            "seconds": f"{passage.seconds:.0f}",
            "messages/s, checker included": f"{traffic.messages / passage.seconds:,.0f}",
            "resident memory, most in the first tenth": f"{found.first_bytes / 2**20:.1f} MiB",
            "resident memory, most after it": f"{found.rest_bytes / 2**20:.1f} MiB "
            f"({found.growth:+.1%}, limit {GROWTH_LIMIT:.0%})",
            "threads in the first tenth, in the last": "{} → {}".format(*found.threads),
            "descriptors in the first tenth, in the last": "{} → {}".format(*found.descriptors),
            "transactions, locks, temporary files left over": "0",
            "samples": str(len(passage.samples)),
            "machine": machine(),
            "versions": versions(),
        },
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code is 1 where an invariant was broken."""
    parser = argparse.ArgumentParser(description="many small messages through one worker")
    parser.add_argument("--messages", type=int, default=5_000_000)
    parser.add_argument("--growth-limit", type=float, default=GROWTH_LIMIT)
    parser.add_argument("--record", type=Path, help="file to write the result to")
    asked = parser.parse_args(arguments)
    traffic = SoakTraffic(asked.messages)
    with broker() as bootstrap, Progress(asked.messages) as progress:
        passage = soak(bootstrap, traffic, growth_limit=asked.growth_limit, progress=progress)
    for fault in passage.faults:
        print(f"soak: {fault}", file=sys.stderr)
    if passage.faults:
        return 1
    record = record_of(traffic, passage)
    print(record.table())
    if asked.record is not None:
        record.write(asked.record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
