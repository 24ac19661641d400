"""A hundred thousand bad and odd messages through one worker: `make fuzz`.

Every message has exactly one outcome, and the one that an oracle apart from the worker names;
dead letters carry the bytes, the key and the headers as they came, enriched messages every other
field; the worker never dies and its memory stays within a bound. Ends with 1 and says so where
that is not so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from consumer.contracts.headers import source_in, without_source
from tests.faults.brokers.steady_broker import broker
from tests.faults.feeding.traffic import REASONS, Outcome
from tests.faults.long_runs.process_figures import machine
from tests.faults.long_runs.progress import Progress
from tests.faults.long_runs.run_record import RunRecord, versions
from tests.faults.long_runs.through_worker import Passage, Sample, pass_through
from tests.faults.matrix.ground import new_ground
from tests.faults.messages import message_oracle
from tests.faults.messages.large_articles import OUTPUT_LIMIT_BYTES
from tests.faults.messages.mutations import message
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.murmur2 import partition_of

PARTITIONS = 6

#: `in_flight_bytes` of the worker in a run.
IN_FLIGHT_BYTES = 64 * 1024 * 1024

#: What the worker may hold at most: itself, what the client fetches ahead (16 MiB, a fetch more and
#: what it needs to keep a message), the messages in flight, and one article of ten megabytes as
#: Python's values while it is checked, which are thirty times as large where all of it is brackets.
MEMORY_BOUND_BYTES = 768 * 1024 * 1024

_REASON_NAMES = ("code", "message", "stage", "topic", "partition", "offset", "timestamp", "version")


@dataclass(frozen=True, slots=True)
class FuzzTraffic:
    """The messages of a seed, judged by the oracle."""

    messages: int
    seed: int

    def record(self, number: int) -> Record:
        """As `mutations.message`."""
        return message(self.seed, number)

    def judge(self, sent: Record, outcome: Outcome) -> Sequence[str]:
        """As the protocol says."""
        faults = []
        right = message_oracle.expected(sent.value, OUTPUT_LIMIT_BYTES).outcomes
        if outcome.kind not in right:
            faults.append(f"wrong outcome: {outcome.kind}, not {' or '.join(sorted(right))}")
        faults += _envelope_faults(sent, outcome.record)
        if outcome.kind == message_oracle.ENRICHED:
            faults += message_oracle.faults_of_enriched(
                sent.value or b"", outcome.record.value or b""
            )
        if outcome.kind in (message_oracle.ENRICHED, message_oracle.TOMBSTONE):
            kept = without_source(sent.headers)
            faults += _changed("headers", kept, without_source(outcome.record.headers))
        else:
            faults += _changed("bytes", sent.value, outcome.record.value)
            faults += _dead_letter_header_faults(sent, outcome.record)
        return faults


def _envelope_faults(sent: Record, found: Record) -> list[str]:
    """Key, timestamp, partition, and the input that it names."""
    faults = _changed("key", sent.key, found.key)
    named = source_in(found.headers)
    origin = None if named is None else (named.topic_partition.partition, named.offset)
    faults += _changed("origin", (sent.partition, sent.offset), origin)
    if sent.timestamp_ms is not None:
        faults += _changed("timestamp", sent.timestamp_ms, found.timestamp_ms)
    wanted = sent.partition if sent.key is None else partition_of(sent.key, PARTITIONS)
    return faults + _changed("partition", wanted, found.partition)


def _dead_letter_header_faults(sent: Record, found: Record) -> list[str]:
    kept = tuple(one for one in without_source(sent.headers) if not one[0].startswith(REASONS))
    headers = without_source(found.headers)
    faults = _changed("headers", kept, headers[: len(kept)])
    names = tuple(name for name, _ in headers[len(kept) :])
    return faults + _changed("reasons", tuple(REASONS + name for name in _REASON_NAMES), names)


def _changed(what: str, wanted: object, found: object) -> list[str]:
    return [] if wanted == found else [f"{what} changed: {wanted!r:.120} became {found!r:.120}"]


def fuzz(
    bootstrap: str,
    traffic: FuzzTraffic,
    *,
    command: Sequence[str] = ("-m", "tests.faults.workers.light_worker"),
    memory_bound_bytes: int = MEMORY_BOUND_BYTES,
    progress: Callable[[Sample], None] = lambda _: None,
) -> Passage:
    """Send the messages through a worker; what was broken is in `faults` of the answer."""
    settings = {
        "dead_letter_max_ratio": 1.0,
        "in_flight_bytes": IN_FLIGHT_BYTES,
        # Compressed, a large article would fit into the output topic.
        "kafka": {"compression.type": "none"},
    }
    limit = {"max.message.bytes": str(OUTPUT_LIMIT_BYTES)}
    with new_ground(bootstrap, PARTITIONS, limit) as ground:
        passage = pass_through(
            ground, traffic, settings, ahead=20_000, command=command, progress=progress
        )
    if passage.peak_bytes > memory_bound_bytes:
        passage.faults.append(
            f"memory: the worker held {passage.peak_bytes / 2**20:.0f} MiB, "
            f"more than {memory_bound_bytes / 2**20:.0f}"
        )
    return passage


def record_of(traffic: FuzzTraffic, passage: Passage) -> RunRecord:
    """What a run is remembered by."""
    kinds = sorted(passage.kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    return RunRecord(
        title="Bad data at scale",
        told=(
            "Written by `make fuzz`: mutated articles through one worker, `exactly_once`, on "
            f"Apache Kafka, {PARTITIONS} partitions; each outcome compared with that of an oracle "
            "apart from the worker, in `tests/faults/`."
        ),
        figures={
            "messages": f"{traffic.messages:,}",
            "seed": str(traffic.seed),
            "faults": str(len(passage.faults)),
            "seconds": f"{passage.seconds:.0f}",
            "memory at most": f"{passage.peak_bytes / 2**20:.0f} MiB "
            f"(bound {MEMORY_BOUND_BYTES / 2**20:.0f} MiB, "
            f"`in_flight_bytes` {IN_FLIGHT_BYTES / 2**20:.0f} MiB)",
            **{f"outcome `{kind}`": f"{count:,}" for kind, count in kinds},
            "machine": machine(),
            "versions": versions(),
        },
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code is 1 where an invariant was broken."""
    parser = argparse.ArgumentParser(description="bad and odd messages through one worker")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", type=Path, help="file to write the result to")
    asked = parser.parse_args(arguments)
    traffic = FuzzTraffic(asked.messages, asked.seed)
    with broker() as bootstrap, Progress(asked.messages) as progress:
        passage = fuzz(bootstrap, traffic, progress=progress)
    record = record_of(traffic, passage)
    print(record.table())
    for fault in passage.faults:
        print(f"fuzz: {fault}", file=sys.stderr)
    if passage.faults:
        print(f"fuzz: broken; again with --seed {asked.seed}", file=sys.stderr)
        return 1
    if asked.record is not None:
        record.write(asked.record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
