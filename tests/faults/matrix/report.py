# ruff: noqa: E501 (a paragraph of Markdown is a line)
"""The results of a matrix run: the table of `docs/notes/faults.md`, and the short one of `docs/guarantees.md`."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import confluent_kafka

from tests.faults.feeding.feed import Shape
from tests.faults.matrix.entry import Entry
from tests.faults.rows.row import AT_LEAST_ONCE, EXACTLY_ONCE, Row
from tests.faults.rows.table import ROWS

_GROUPS = {
    "none": "No fault",
    "worker": "Worker",
    "group": "Group",
    "broker": "Broker",
    "network": "Network",
    "bounded": "A bounded run",
    "replay": "A replay of dead letters",
    "all": "All kinds",
}

_SHORT = {"all": "all kinds at once"}

#: Runs for one reason that are named one by one.
_NAMED = 12

#: Seeds of the whole matrix.
SEEDS = (1, 2, 3)

_HEAD = """# The fault matrix

Workers as processes against Apache Kafka, faults injected while a `read_committed` reader looks on, and then eight invariants checked from what Kafka holds: every input has exactly one outcome; no committed offset passes an unresolved message; each partition keeps its order, and each outcome stands in the partition that its key or its input's partition asks for; dead letters carry the original bytes; entities are the same as without the fault; no transaction stays open; work goes on; the metrics reconcile. The last judge of each run is `nerstream audit`, the command, which knows nothing of the run. One input in 41 is poison of some kind, one in 97 a tombstone.

Every row is run in each mode with several seeds. A seed decides the moments of the faults, their order, the sizes of articles, batches and transactions, the keys, and the shape of what is fed. The name of a row says with which of five shapes it begins and each seed takes the next, so that a row in both modes meets all of them:

- *keyless*: the input's partition decides where the outcome goes.
- *keyed*: the key decides, in the input as in the output.
- *keys elsewhere*: the input has its keys in other partitions than the output, which has four for its six.
- *transactional*: keyed, and fed in transactions, a fifth of which are taken back and written anew, while a tenth stay open for 0.7 s.
- *two topics*: one without keys, one with keys and three partitions.

Written by `make faults`, which goes on where it was stopped with `RESUME=1`; do not edit. `make faults ROWS="killed cut" SEEDS=2` runs some rows.
"""

_WITHOUT_SEED = "Seed 0 stands for runs from before there were seeds: fed without keys, every moment and size as it was written."

_NOTES = """
Recovery is the time from the fault until every partition shows the outcome of an input that was fed when its cause was over: the killed worker gone, the broker up again. It holds what the fault itself lasts: a broker needs some seconds to start, a killed member is missed after its session timeout (2.5 s here), a transaction that nobody ends after its timeout (4 s here; both are longer in production). `doubled` under `at_least_once` counts the outcomes beyond the first of their input, as that mode allows.

The tagger of these workers answers at once, from a pattern; all else is `nerstream run`. A device that fails (out of memory, logits that are not numbers, a forward pass that hangs) is in `tests/faults/test_device.py`, mutated messages in `docs/notes/fuzz.md`, five million messages in `docs/notes/soak.md`.

A replay of dead letters has a check of its own: each letter was sent exactly once, as it was, to where it came from, in order, while another worker writes more of them and takes some back. Recovery is the time until more of them are sent.

The checker is checked: workers that commit before they produce, drop rejected messages, skip the abort, take offsets from the client's position, break the order or send twice are found out (`tests/faults/test_checker.py`).
"""


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
    from tests.integration.servers.kafka_server import KAFKA_DIR

    jars = sorted((KAFKA_DIR / "libs").glob("kafka-clients-*.jar"))
    return "Apache Kafka " + jars[0].stem.removeprefix("kafka-clients-") if jars else "unknown"


def write(folder: Path, entries: Sequence[Entry]) -> tuple[int, ...]:
    """`faults.json` and `faults.md`, of those seeds with which every row was run in each mode.

    Returns:
        these seeds; where there are none, nothing is written.
    """
    found = {one.key for one in entries}
    seeds = tuple(
        seed
        for seed in sorted({one.seed for one in entries})
        if all((row.name, mode, seed) in found for row in ROWS for mode in row.deliveries)
    )
    if seeds:
        _write(folder, machine(), [one for one in entries if one.seed in seeds])
    return seeds


def write_again(folder: Path, entries: Sequence[Entry], at: str, because: str) -> None:
    """Put runs that were made by themselves into the record of the whole matrix; the page names
    them.

    Args:
        at: the day; because: why, in a few words.

    Raises:
        FileNotFoundError: no whole matrix was recorded.
    """
    document = json.loads((folder / "faults.json").read_text("utf-8"))
    older = {one.key: one for one in map(Entry.read, document["rows"])}
    for one in entries:
        before = older.get(one.key)
        was = next(iter(before.violations), before.was) if before else None
        older[one.key] = replace(one, again=at, because=because, was=was)
    _write(folder, document["machine"], list(older.values()))


def _write(folder: Path, where: Mapping[str, str], entries: Sequence[Entry]) -> None:
    rows = ",\n".join(
        " " + json.dumps(asdict(_in_a_line(one)), ensure_ascii=False)
        for one in sorted(entries, key=_place)
    )
    told = json.dumps(where, ensure_ascii=False)
    text = f'{{"machine": {told}, "rows": [\n{rows}\n]}}\n'
    (folder / "faults.json").write_text(text, "utf-8")
    (folder / "faults.md").write_text(page(json.loads(text)), "utf-8")


def _in_a_line(one: Entry) -> Entry:
    """Without the ends of logs below what was violated, which are kept with the results."""
    was = None if one.was is None else one.was.partition("\n")[0]
    lines = tuple(violation.partition("\n")[0] for violation in one.violations)
    return replace(one, violations=lines, was=was)


def _place(one: Entry) -> tuple[int, bool, int]:
    """Where an entry stands in the record: as the rows do."""
    names = [row.name for row in ROWS]
    return names.index(one.row), one.delivery != EXACTLY_ONCE, one.seed


def page(document: Mapping[str, Any]) -> str:
    """`docs/notes/faults.md` from `docs/notes/faults.json`."""
    entries = [Entry.read(one) for one in document["rows"]]
    lines = [
        _HEAD,
        *([_WITHOUT_SEED, ""] if any(not one.seed for one in entries) else []),
        _recorded(entries, document["machine"]),
        "",
        *_sums("seed", entries, lambda one: str(one.seed)),
        *_sums("feed", entries, lambda one: one.feed or "dead letters"),
        *_run_again(entries),
        "| fault | mode | fed, by seed | messages | faults | kills | lost | doubled, by seed | recovery p50 | max |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for group, name in _GROUPS.items():
        here = [row for row in ROWS if row.group == group]
        found = [
            (row, mode, [one for one in entries if one.key[:2] == (row.name, mode)])
            for row in here
            for mode in row.deliveries
        ]
        if any(runs for _, _, runs in found):
            lines.append(f"| **{name}** | | | | | | | | | |")
        lines += [_line(row, mode, runs) for row, mode, runs in found if runs]
    return "\n".join(lines) + "\n" + _NOTES


def _recorded(entries: Sequence[Entry], where: Mapping[str, str]) -> str:
    whole = [one for one in entries if not one.again] or entries
    on = f"on {', '.join(where.values())}"
    begins = [datetime.fromisoformat(one.began) for one in whole]
    minutes = sum(one.seconds for one in whole) / 60
    took = f"{len(whole)} runs took {minutes:.0f} minutes together"
    if any(":" not in one.began for one in whole):
        # Of some the day alone is known.
        return f"Recorded {min(begins):%Y-%m-%d} {on}. {took}."
    end = max(
        begin + timedelta(seconds=one.seconds) for begin, one in zip(begins, whole, strict=True)
    )
    passed = (end - min(begins)).total_seconds() / 60
    return (
        f"Recorded from {min(begins):%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC {on}. {took}, of "
        f"{passed:.0f} that passed: they were made in pieces, some side by side with brokers of "
        "their own, on a machine that had other work as well."
    )


def _sums(what: str, entries: Sequence[Entry], by: Callable[[Entry], str]) -> list[str]:
    """A table with a line for each seed, or each shape of what is fed."""
    lines = [
        f"| {what} | runs | red | messages | faults | kills | lost | doubled, exactly once "
        "| doubled, at least once | longest recovery |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    order = [*Shape, "dead letters"]
    names = {by(one) for one in entries}
    for name in sorted(names, key=lambda name: (name in order and order.index(name), name)):
        here = [one for one in entries if by(one) == name]
        cells = [
            name,
            len(here),
            sum(bool(one.violations) for one in here),
            *(sum(getattr(one, of) for one in here) for of in ("messages", "faults", "kills")),
            sum(one.lost for one in here),
            _doubled(here, EXACTLY_ONCE),
            _doubled(here, AT_LEAST_ONCE),
            f"{max(one.recovery_max_s or 0 for one in here)} s",
        ]
        shown = [f"{one:,}" if isinstance(one, int) else one for one in cells]
        lines.append("| " + " | ".join(shown) + " |")
    return [*lines, ""]


def short_table(document: Mapping[str, Any]) -> str:
    """The table of the guarantees: a line a kind of fault, both modes in it."""
    rows = [Entry.read(one) for one in document["rows"]]
    lines = [
        "| faults of | kinds | injected | messages | lost | doubled, exactly once "
        "| doubled, at least once | longest recovery |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for group, name in _GROUPS.items():
        names = {row.name for row in ROWS if row.group == group}
        here = [one for one in rows if one.row in names]
        faults = sum(one.faults for one in here)
        if not faults:
            continue
        longest = max(one.recovery_max_s or 0 for one in here)
        lines.append(
            f"| {_SHORT.get(group, name.lower())} | {len({one.row for one in here})} "
            f"| {faults} | {sum(one.messages for one in here):,} "
            f"| {sum(one.lost for one in here)} | {_doubled(here, EXACTLY_ONCE)} "
            f"| {_doubled(here, AT_LEAST_ONCE):,} | {longest} s |"
        )
    return "\n".join(lines) + "\n"


def _run_again(entries: Sequence[Entry]) -> list[str]:
    """Runs that were made by themselves, by the day and the reason."""
    titles = {row.name: row.title for row in ROWS}
    found: dict[tuple[str, str], list[Entry]] = {}
    for one in entries:
        if one.again:
            found.setdefault((one.again, one.because), []).append(one)
    lines = []
    for (day, because), runs in found.items():
        if len(runs) > _NAMED and not any(one.was for one in runs):
            seeds = ", ".join(str(seed) for seed in sorted({one.seed for one in runs}))
            lines += [
                f"Run by themselves on {day}, {because}: {len(runs)} runs, with seed {seeds}; the "
                "table says which.",
                "",
            ]
            continue
        named = "; ".join(
            f"{titles[one.row]} (`{one.delivery}`, seed {one.seed}"
            + (f", red before: {one.was}" if one.was else "")
            + ")"
            for one in runs
        )
        lines += [f"Run by themselves on {day}, {because}: {named}.", ""]
    return lines


def _doubled(entries: Sequence[Entry], delivery: str) -> int:
    return sum(one.doubled for one in entries if one.delivery == delivery)


def _line(row: Row, mode: str, runs: Sequence[Entry]) -> str:
    red = [str(one.seed) for one in runs if one.violations]
    medians = [one.recovery_p50_s for one in runs if one.recovery_p50_s is not None]
    longest = [one.recovery_max_s for one in runs if one.recovery_max_s is not None]
    doubled = [f"{one.doubled:,}" for one in runs]
    cells = [
        row.title + (f" (**violated** with seed {', '.join(red)})" if red else ""),
        mode,
        ", ".join(f"{one.seed}: {one.feed}" for one in runs if one.feed),
        *(f"{sum(getattr(one, of) for one in runs):,}" for of in ("messages", "faults", "kills")),
        f"{sum(one.lost for one in runs):,}",
        " · ".join(doubled) if any(one.doubled for one in runs) else "0",
        f"{round(statistics.median(medians), 1)} s" if medians else "",
        f"{max(longest)} s" if longest else "",
    ]
    return "| " + " | ".join(cells) + " |"
