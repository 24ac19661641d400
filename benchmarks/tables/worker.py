"""The tables of the worker's page from recorded runs: `python -m benchmarks.tables.worker PAGE`."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.tables.gpu import BUNDLED_WORKERS, WORKERS
from benchmarks.tables.page import fill, markdown, recorded
from benchmarks.turns import Turn, Window, spread
from consumer.contracts.choices import Step

#: Tokens of an article of real news, in the mean.
ARTICLE_TOKENS = 270

#: The runs that were made on other kinds of processors too.
_ELSEWHERE = (
    "bundled",
    "bundled-at-least-once",
    "bert-base",
    "tokenizer-one-core",
    "null",
    "null-at-least-once",
)

#: What the cost model is told for: a label, and the run whose rate counts.
MACHINES = (
    ("two cores, BERT-base", "worker-bert-base"),
    ("two cores, bundled", "worker-bundled"),
    ("H100 and 16 cores, BERT-base", WORKERS[4]),
    ("H100 and 16 cores, bundled", BUNDLED_WORKERS[4]),
)

_STAGES = tuple(step.value for step in Step)


def main() -> None:
    """Write all tables into a page."""
    parser = argparse.ArgumentParser(description="tables of the recorded runs")
    parser.add_argument("page", type=Path, help="Markdown, with the marks of the tables")
    page: Path = parser.parse_args().page
    page.write_text(filled(page.read_text("utf-8")), "utf-8")


def filled(page: str) -> str:
    """The page with its tables as the runs in `benchmarks/results` have them."""
    tables = (
        *(end_to_end, overhead, stages, latency, start, memory, scaling, machines),
        attacked,
    )
    by_name = {table.__name__: table for table in tables}
    elsewhere = {suffix: partial(_elsewhere, suffix) for suffix in ("amx", "plain")}
    return fill(page, by_name | elsewhere)


def end_to_end() -> list[str]:
    """One worker beside the model or the tokeniser alone."""
    rows = []
    names = ("bundled", "bundled-at-least-once", "bert-base", "tokenizer", "tokenizer-one-core")
    for name in names:
        if (run := recorded(f"worker-{name}")) is None:
            continue
        rates = run["throughput"]
        rows.append(
            (
                name,
                run["delivery"],
                f"{rates['articles_per_s']:,.1f}",
                f"{rates['tokens_per_s']:,.0f}",
                f"{run['alone']['tokens_per_s']:,.0f}",
                f"{rates['share_of_alone']:.1%}",
            )
        )
    return markdown(
        ("run", "delivery", "articles/s", "tokens/s", "tagger alone, tokens/s", "share"), rows
    )


def _elsewhere(suffix: str) -> list[str]:
    """The runs on another kind of processor, by the ending of their files."""
    rows = []
    for name in _ELSEWHERE:
        if (run := recorded(f"worker-{name}-{suffix}")) is None:
            continue
        rates = run["throughput"]
        share = rates.get("share_of_alone")
        rows.append(
            (
                name,
                run["delivery"],
                f"{rates['articles_per_s']:,.1f}",
                f"{rates['tokens_per_s']:,.0f}" if share else "",
                f"{share:.1%}" if share else "",
                f"{run['start']['total_s']:.1f} s",
            )
        )
    return markdown(("run", "delivery", "articles/s", "tokens/s", "share", "start"), rows)


def overhead() -> list[str]:
    """A message beside the model, next to peers."""
    if (run := recorded("overhead")) is None:
        return []
    rows = [
        (name, f"{found['median']:,.0f}", ", ".join(f"{one:,}" for one in found["runs"]))
        for name, found in run["articles_per_s"].items()
    ]
    return markdown(("", "articles/s, median", "runs"), rows)


def stages() -> list[str]:
    """How busy each stage is."""
    rows = []
    for name in ("null", "null-at-least-once", "tokenizer", "bundled"):
        if (run := recorded(f"worker-{name}")) is None:
            continue
        rates = run["throughput"]
        rows.append(
            (
                name,
                *(f"{rates['busy'][stage]:.0%}" for stage in _STAGES),
                f"{rates['cpu_us_per_article']:,.0f}",
                f"{rates['cores']:.2f}",
                f"{rates['transactions_per_s']:.1f}",
                f"{rates['padding_ratio']:.1%}",
            )
        )
    head = ("run", *_STAGES, "processor µs/article", "cores", "commits/s", "padding")
    return markdown(head, rows)


def latency() -> list[str]:
    """From the article's timestamp to a `read_committed` reader."""
    rows = []
    for name in ("bundled", "null"):
        if (run := recorded(f"worker-{name}")) is None:
            continue
        for load in ("full", "half", "single"):
            found = run["latency"][load]
            spread = [f"{found[f'{p}_s'] * 1000:,.0f}" for p in ("p50", "p95", "p99", "max")]
            rows.append((name, load, f"{found['articles_per_s']:,.1f}", *spread))
    return markdown(("run", "load", "articles/s", "p50 ms", "p95 ms", "p99 ms", "longest ms"), rows)


def start() -> list[str]:
    """Where the start goes."""
    rows = []
    for name in ("bundled", "bert-base", "null"):
        if (run := recorded(f"worker-{name}")) is not None:
            rows.append((name, *(f"{seconds:.2f}" for seconds in run["start"].values())))
    return markdown(("run", "ready after s", "imports", "model", "producer", "group"), rows)


def memory() -> list[str]:
    """Peaks under overload."""
    if (run := recorded("overload")) is None:
        return []
    rows = [
        (
            f"{one['in_flight_bound_mib']}",
            f"{one['in_flight_mib']:.0f}",
            f"{one['waiting_mib']:.0f}",
            f"{one['idle_peak_mib']:.0f}",
            f"{one['peak_mib']:.0f}",
            f"{one['peak_mib'] - one['idle_peak_mib']:.0f}",
        )
        for one in run["bounds"]
    ]
    head = ("in_flight_bytes, MiB", "in flight", "waiting in Kafka", "idle", "peak", "above idle")
    return markdown(head, rows)


def scaling() -> list[str]:
    """More partitions, more workers."""
    rows = []
    for name in (
        *("null-1-partition", "null", "null-16-partitions", "null-two-workers"),
        *("bundled", "bundled-two-workers"),
    ):
        if (run := recorded(f"worker-{name}")) is not None:
            rates = run["throughput"]
            rows.append((name, str(run["workers"]), f"{rates['articles_per_s']:,.1f}"))
    return markdown(("run", "workers", "articles/s"), rows)


def machines() -> list[str]:
    """What a million articles need, at the tokens/s of a recorded machine."""
    rows = []
    for label, name in MACHINES:
        if (run := recorded(name)) is None:
            continue
        tokens_per_s = run["throughput"]["tokens_per_s"]
        million_s = 1e6 * ARTICLE_TOKENS / tokens_per_s
        needs = [_two_digits(million_s / seconds) for seconds in (86_400, 3_600, 60)]
        articles = f"{tokens_per_s / ARTICLE_TOKENS:,.1f}"
        rows.append((label, f"{tokens_per_s:,.0f}", articles, *needs))
    head = ("machine", "tokens/s", "articles/s", "1 M a day", "1 M an hour", "1 M a minute")
    return markdown(head, rows)


def attacked() -> list[str]:
    """What is left of the rate while strangers are at the admin port, and how probes fare."""
    run = recorded("admin-attack")
    rows = []
    for name, found in (run["attacks"] if run else {}).items():
        probes = found["probes"]
        rows.append(
            (
                name,
                _share(found["by_cpu"]),
                _share(found["by_clock"]),
                str(len(found["turns"])),
                f"{probes['late']} of {probes['asked']}",
                *(f"{probes[f'p{percent}_s'] * 1000:,.0f}" for percent in (50, 99)),
            )
        )
    if run:
        both = (_of_all(run, by_clock=False), _of_all(run, by_clock=True))
        turns = sum(len(found["turns"]) for found in run["attacks"].values())
        rows.append(("mean of these", *map(_share, both), str(turns), "", "", ""))
    head = ("attack", "rate left, by processor", "by clock", "turns", "probes late")
    return markdown((*head, "p50 ms", "p99 ms"), rows)


def _of_all(run: dict[str, Any], *, by_clock: bool) -> dict[str, float]:
    """The spread over all turns of all attacks."""
    return spread(
        [
            Turn(*(Window(**one[part]) for part in ("before", "disturbed", "after"))).left(
                by_clock=by_clock
            )
            for found in run["attacks"].values()
            for one in found["turns"]
        ]
    )


def _share(found: dict[str, float]) -> str:
    error = f" ± {found['error']:.1%}" if "error" in found else ""
    return f"{found['mean']:.1%}{error}"


def _two_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


if __name__ == "__main__":
    main()
