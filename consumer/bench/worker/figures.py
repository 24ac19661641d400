"""The figures of `nerstream bench worker`: worked out of readings, and printed."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from consumer import __version__
from consumer.bench.worker.process import Reading
from consumer.bench.worker.taggers import TaggerKind
from consumer.contracts.choices import Step
from consumer.settings.schema import Settings

#: The libraries whose versions decide how fast it is.
_LIBRARIES = ("confluent-kafka", "jsonschema-rs", "numpy", "orjson", "tokenizers", "torch")


def surroundings(settings: Settings, kind: TaggerKind, values: Sequence[bytes]) -> dict[str, Any]:
    """What was measured, and on what."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "benchmark": "worker",
        "tagger": kind.value,
        "model": settings.model if kind is not TaggerKind.NULL else None,
        "delivery": settings.delivery.value,
        "machine": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {
            "python": platform.python_version(),
            "nerstream": __version__,
            **{name: version(name) for name in _LIBRARIES},
        },
        "articles": {
            "distinct": len(values),
            "mean_bytes": round(sum(map(len, values)) / len(values)),
            "longest_bytes": max(map(len, values)),
        },
        "settings": {
            name: getattr(settings, name)
            for name in (
                "batch_tokens",
                "batch_articles",
                "batch_wait_ms",
                "commit_interval_ms",
                "in_flight_articles",
                "threads",
                "tokenizer_processes",
            )
        },
    }


def throughput(readings: Sequence[Reading], seconds: float = 0.0) -> dict[str, Any]:
    """Rates between two readings, the first of them some way in so that all is warm.

    Args:
        readings: of one worker, in order.
        seconds: how long it took, where that is known better than by the readings.
    """
    total = readings[-1].resolved - readings[0].resolved
    warm = next(one for one in readings if one.resolved >= readings[0].resolved + total / 10)
    first, last = (readings[0] if len(readings) < 3 else warm), readings[-1]
    if len(readings) >= 10:
        # The last one was taken some time after the last article was done.
        last = readings[-2]
    took = seconds or last.at - first.at
    articles = last.resolved - first.resolved

    def grown(name: str, labels: str = "") -> float:
        return last.value(name, labels) - first.value(name, labels)

    def grown_together(name: str) -> float:
        return last.total(name) - first.total(name)

    tokens = grown_together("nerstream_tokens_total")
    computed = grown_together("nerstream_computed_tokens_total")
    batches = grown("nerstream_batch_articles_count")
    stage = "nerstream_stage_duration_seconds_sum"
    return {
        "articles_per_s": articles / took,
        "tokens_per_s": tokens / took,
        "tokens_per_article": tokens / max(articles, 1),
        "articles": articles,
        "seconds": took,
        "cpu_us_per_article": (last.cpu_s - first.cpu_s) / max(articles, 1) * 1e6,
        "cores": (last.cpu_s - first.cpu_s) / took,
        "busy": {step.value: grown(stage, f'{{stage="{step}"}}') / took for step in Step},
        "padding_ratio": 1 - tokens / computed if computed else 0.0,
        "batch_articles": grown("nerstream_batch_articles_sum") / max(batches, 1),
        "batch_tokens": grown("nerstream_batch_tokens_sum") / max(batches, 1),
        "batch_s": grown(stage, '{stage="tag"}') / max(batches, 1),
        "transactions_per_s": grown("nerstream_transactions_total", '{outcome="committed"}') / took,
    }


def full_window(
    marked: Sequence[Reading], whole: Sequence[Reading], seconds: float
) -> dict[str, Any]:
    """Rates while the window was full, without its filling and its emptying.

    Args:
        marked: the readings when it was full and when it was no longer; fewer where it never was.
        whole: those before and after the run, which count where no article came out meanwhile: a
            reader that is late sees the window full when the worker is done with it.
        seconds: of the run.
    """
    if len(marked) == 2 and marked[1].resolved > marked[0].resolved:
        return throughput(marked)
    return throughput(whole, seconds)


def together(*runs: Mapping[str, float]) -> dict[str, float]:
    """Figures of the tagger alone, of several runs of it: the means over their time."""
    seconds = sum(run["seconds"] for run in runs)
    means = {
        name: sum(run[name] * run["seconds"] for run in runs) / seconds
        for name in runs[0]
        if name != "seconds"
    }
    return {**means, "seconds": seconds}


def shares(rates: Mapping[str, float], alone: Mapping[str, float]) -> dict[str, float]:
    """Of the worker's rate in that of the tagger alone, and of its model."""
    return {
        share: rates["tokens_per_s"] / alone[name]
        for share, name in (
            ("share_of_alone", "tokens_per_s"),
            ("share_of_model_only", "model_only_tokens_per_s"),
        )
        if name in alone
    }


def printed(found: Mapping[str, Any], console: Console) -> None:
    """The document for a person."""
    rates, table = found["throughput"], Table(show_header=False, box=None)
    rows = [
        (
            "tagger",
            found["tagger"] if found["model"] is None else f"{found['tagger']}, {found['model']}",
        ),
        ("delivery", f"{found['delivery']}, broker: {found['broker']}"),
        ("articles/s", f"{rates['articles_per_s']:,.1f}"),
        ("tokens/s", f"{rates['tokens_per_s']:,.0f}"),
    ]
    if "alone" in found:
        name = "tagger" if found["tagger"] == TaggerKind.MODEL else "tokeniser"
        rows.append(
            (
                f"of the {name} alone",
                f"{rates['share_of_alone']:.1%} of {found['alone']['tokens_per_s']:,.0f} tokens/s",
            )
        )
    if "share_of_model_only" in rates:
        model_only = found["alone"]["model_only_tokens_per_s"]
        rows.append(
            (
                "of the model only",
                f"{rates['share_of_model_only']:.1%} of {model_only:,.0f} tokens/s",
            )
        )
    rows += [
        (
            "processor",
            f"{rates['cpu_us_per_article']:,.0f} µs an article, {rates['cores']:.2f} cores",
        ),
        ("time by stage", ", ".join(f"{name} {busy:.0%}" for name, busy in rates["busy"].items())),
        (
            "batch",
            f"{rates['batch_articles']:.1f} articles, {rates['batch_tokens']:,.0f} tokens, "
            f"{rates['padding_ratio']:.1%} padding, {rates['batch_s'] * 1000:,.0f} ms",
        ),
        ("transactions/s", f"{rates['transactions_per_s']:.1f}"),
    ]
    for name, figures in found.get("latency", {}).items():
        if isinstance(figures, Mapping):
            spread = ", ".join(
                f"{p} {figures[f'{p}_s'] * 1000:,.0f}" for p in ("p50", "p95", "p99")
            )
            rows.append(
                (
                    f"latency, {name} load" if name != "single" else "latency, idle worker",
                    f"{spread} ms at {figures['articles_per_s']:,.1f} articles/s",
                )
            )
    rows += [
        (
            "start to ready",
            "{total_s:.1f} s (imports {imports_s:.1f}, model {model_s:.1f}, producer "
            "{producer_s:.1f}, group {group_s:.1f})".format(**found["start"]),
        ),
        ("peak memory", f"{found['peak_bytes'] / 2**20:,.0f} MiB"),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
