# ruff: noqa: E501 (a paragraph of Markdown is a line)
"""The results of a matrix run: the table of `docs/notes/faults.md`, and the short one of `docs/guarantees.md`."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import confluent_kafka

from tests.faults.result import Result
from tests.faults.row import AT_LEAST_ONCE, EXACTLY_ONCE, Row
from tests.faults.rows import ROWS

_GROUPS = {
    "none": "No fault",
    "worker": "Worker",
    "group": "Group",
    "broker": "Broker",
    "network": "Network",
    "replay": "A replay of dead letters",
    "all": "All kinds",
}

_SHORT = {"all": "all kinds at once"}

_MODES = {EXACTLY_ONCE: "exactly_once", AT_LEAST_ONCE: "at_least_once"}

_HEAD = """# The fault matrix

Workers as processes against Apache Kafka, faults injected while a `read_committed` reader looks on, and then eight invariants checked from what Kafka holds: every input has exactly one outcome; no committed offset passes an unresolved message; each partition keeps its order; dead letters carry the original bytes; entities are the same as without the fault; no transaction stays open; work goes on; the metrics reconcile. One input in 41 is poison of some kind, one in 97 a tombstone.

Written by `make faults`; do not edit. `make faults ROWS="killed cut"` runs some rows.
"""

_NOTES = """
Recovery is the time from the fault until every partition shows the outcome of an input that was fed when its cause was over: the killed worker gone, the broker up again. It holds what the fault itself lasts: a broker needs some seconds to start, a killed member is missed after its session timeout (2.5 s here), a transaction that nobody ends after its timeout (4 s here; both are longer in production). `doubled` under `at_least_once` counts the outcomes beyond the first of their input, as that mode allows.

The tagger of these workers answers at once, from a pattern; all else is `nerstream run`. A device that fails (out of memory, logits that are not numbers, a forward pass that hangs) is in `tests/faults/test_device.py`, mutated messages in `docs/notes/fuzz.md`, five million messages in `docs/notes/soak.md`.

A replay of dead letters has a check of its own: each letter was sent exactly once, as it was, to where it came from, in order, while another worker writes more of them and takes some back. Recovery is the time until more of them are sent.

The checker is checked: workers that commit before they produce, drop rejected messages, skip the abort, take offsets from the client's position, break the order or send twice are found out (`tests/faults/test_checker.py`).
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table."""

    row: str
    delivery: str
    seconds: float
    messages: int
    faults: int
    kills: int
    lost: int
    doubled: int
    recovery_p50_s: float | None
    recovery_max_s: float | None
    violations: tuple[str, ...]
    #: The day on which this row alone was run after the whole matrix; None if it was not.
    again: str | None = None


def entry(row: Row, delivery: str, seconds: float, result: Result) -> Entry:
    """The line of one run."""
    recoveries = result.recoveries_s
    return Entry(
        row=row.name,
        delivery=delivery,
        seconds=round(seconds, 1),
        messages=result.messages,
        faults=result.faults,
        kills=result.kills,
        lost=result.verdict.lost,
        doubled=result.verdict.doubled,
        recovery_p50_s=round(statistics.median(recoveries), 1) if recoveries else None,
        recovery_max_s=round(max(recoveries), 1) if recoveries else None,
        violations=result.verdict.violations,
    )


def machine() -> Mapping[str, str]:
    """What the run was made on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "processor": f"{len(os.sched_getaffinity(0))} cores of {model}",
        "python": f"Python {platform.python_version()}",
        "confluent-kafka": (
            f"confluent-kafka {confluent_kafka.version()} (librdkafka {_librdkafka()})"
        ),
        "kafka": _kafka_version(),
    }


def _librdkafka() -> str:
    found = confluent_kafka.libversion()
    return str(found[0] if isinstance(found, tuple) else found)


def _kafka_version() -> str:
    from tests.integration.kafka_server import KAFKA_DIR

    jars = sorted((KAFKA_DIR / "libs").glob("kafka-clients-*.jar"))
    return "Apache Kafka " + jars[0].stem.removeprefix("kafka-clients-") if jars else "unknown"


def write(folder: Path, entries: Sequence[Entry], at: str) -> None:
    """`faults.json` and `faults.md`."""
    document = {"at": at, "machine": machine(), "rows": [asdict(one) for one in entries]}
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (folder / "faults.json").write_text(text, "utf-8")
    (folder / "faults.md").write_text(page(document), "utf-8")


def write_again(folder: Path, entries: Sequence[Entry], at: str) -> None:
    """Put rows that were run by themselves, after what made them red was mended or because they are
    new, into the record of the whole matrix; the page names them.

    Raises:
        FileNotFoundError: no whole matrix was recorded.
    """
    document = json.loads((folder / "faults.json").read_text("utf-8"))
    newer = {(one.row, one.delivery): {**asdict(one), "again": at} for one in entries}
    older = {(one["row"], one["delivery"]): one for one in document["rows"]}
    document["rows"] = list({**older, **newer}.values())
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (folder / "faults.json").write_text(text, "utf-8")
    (folder / "faults.md").write_text(page(document), "utf-8")


def page(document: Mapping[str, object]) -> str:
    """`docs/notes/faults.md` from `docs/notes/faults.json`."""
    rows = document["rows"]
    assert isinstance(rows, list)
    where = document["machine"]
    assert isinstance(where, dict)
    total = sum(one["messages"] for one in rows)
    lines = [
        _HEAD,
        f"Recorded {document['at']}: {', '.join(where.values())}. "
        f"{total:,} messages over 6 partitions, {sum(one['faults'] for one in rows)} faults, "
        f"{sum(one['kills'] for one in rows)} kills, {sum(one['lost'] for one in rows)} lost, "
        f"{_doubled(rows, EXACTLY_ONCE)} doubled under `exactly_once`.",
        "",
        *_run_again(rows),
        "| fault | mode | messages | faults | kills | lost | doubled | recovery p50 | max |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for group, name in _GROUPS.items():
        here = [row for row in ROWS if row.group == group]
        found = [(row, one) for row in here for one in rows if one["row"] == row.name]
        if found:
            lines.append(f"| **{name}** | | | | | | | | |")
        lines += [_line(row, one) for row, one in found]
    return "\n".join(lines) + "\n" + _NOTES


def short_table(document: Mapping[str, object]) -> str:
    """The table of the guarantees: a line a kind of fault, both modes in it."""
    rows = document["rows"]
    assert isinstance(rows, list)
    lines = [
        "| faults of | kinds | injected | messages | lost | doubled, exactly once "
        "| doubled, at least once | longest recovery |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for group, name in _GROUPS.items():
        names = {row.name for row in ROWS if row.group == group}
        here = [one for one in rows if one["row"] in names]
        faults = sum(one["faults"] for one in here)
        if not faults:
            continue
        longest = max(one["recovery_max_s"] or 0 for one in here)
        lines.append(
            f"| {_SHORT.get(group, name.lower())} | {len({one['row'] for one in here})} "
            f"| {faults} | {sum(one['messages'] for one in here):,} "
            f"| {sum(one['lost'] for one in here)} | {_doubled(here, EXACTLY_ONCE)} "
            f"| {_doubled(here, AT_LEAST_ONCE):,} | {longest} s |"
        )
    return "\n".join(lines) + "\n"


def _run_again(rows: Sequence[Mapping[str, object]]) -> list[str]:
    titles = {row.name: row.title for row in ROWS}
    named = [
        f"{titles[str(one['row'])]} (`{_MODES[str(one['delivery'])]}`, {one['again']})"
        for one in rows
        if one.get("again")
    ]
    return [f"Run by themselves after that: {'; '.join(named)}.", ""] if named else []


def _doubled(rows: Sequence[Mapping[str, int]], delivery: str) -> int:
    return sum(int(one["doubled"]) for one in rows if str(one["delivery"]) == delivery)


def _line(row: Row, one: Mapping[str, object]) -> str:
    red = "" if not one["violations"] else " (**violated**)"
    cells = [
        row.title + red,
        _MODES[str(one["delivery"])],
        *(f"{one[name]:,}" for name in ("messages", "faults", "kills", "lost", "doubled")),
        *(_seconds(one[name]) for name in ("recovery_p50_s", "recovery_max_s")),
    ]
    return "| " + " | ".join(cells) + " |"


def _seconds(value: object) -> str:
    return "" if value is None else f"{value} s"
