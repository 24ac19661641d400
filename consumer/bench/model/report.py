"""What `nerstream bench model` found: as a document, and printed for a person."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from consumer import __version__
from consumer.contracts.messages import Article
from consumer.contracts.safe_text import safe
from consumer.evaluation.comparison import FAITHFUL_SHARE
from consumer.settings.schema import Settings

if TYPE_CHECKING:
    from consumer.bench.model.contest import Contestant
    from consumer.bench.model.field import Field

#: The libraries whose versions decide how fast it is; those that are not installed are left out.
_LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "onnxruntime",
    "onnx",
    "openvino",
    "nncf",
)

#: Instructions that matter here, by their names in /proc/cpuinfo and for a person.
_INSTRUCTIONS = {
    "avx512f": "AVX-512",
    "avx512_bf16": "bf16",
    "avx512_vnni": "VNNI",
    "amx_tile": "AMX",
}

#: Precisions that keep the entities of any model, where there are none to compare.
_FAITHFUL_PRECISIONS = ("float32", "bfloat16", "int16")


def surroundings(
    settings: Settings, articles: Sequence[Article], arguments: argparse.Namespace
) -> dict[str, Any]:
    """The document without its models: machine, versions, what was measured and how."""
    import importlib.metadata

    versions = {"python": platform.python_version(), "nerstream": __version__}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    sizes = [sum(len(field.text) for field in article.fields) for article in articles]
    return {
        "benchmark": "model",
        "machine": machine(),
        "versions": versions,
        "articles": {
            "source": "made of the samples" if arguments.articles is None else "a file",
            "number": len(articles),
            "seed": arguments.seed,
            "mean_characters": round(mean(sizes)),
            "longest_characters": max(sizes),
        },
        "settings": {
            "threads": settings.threads or len(os.sched_getaffinity(0)),
            "batch_tokens": settings.batch_tokens,
            "window_tokens": settings.window_tokens,
            "window_overlap_tokens": settings.window_overlap_tokens,
            "rounds": arguments.rounds,
            "clock": arguments.clock,
        },
        "models": [],
    }


def machine() -> str:
    """The processor: how many cores of which, and its instructions; no name of a host."""
    cores, name, flags = len(os.sched_getaffinity(0)), platform.machine(), set[str]()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() == "flags":
            flags = set(value.split())
    with_ = [label for flag, label in _INSTRUCTIONS.items() if flag in flags]
    return f"{cores} cores of {name}" + (f" with {', '.join(with_)}" if with_ else "")


def model_document(
    name: str,
    field: Field,
    ceilings: Mapping[str, Sequence[float]],
    has_random_weights: bool,
) -> dict[str, Any]:
    """One model's part of the document.

    Args:
        ceilings: tokens/s of each round, by precision.
        has_random_weights: whether its entities mean nothing; precisions are faithful then by
            what they are.
    """
    engines = [_engine(contestant, field) for contestant in field.contestants]
    ceiling = {precision: median(rates) for precision, rates in ceilings.items()}
    document = {
        "model": name,
        "has_random_weights": has_random_weights,
        "tokens": field.tokens,
        "auto": field.auto,
        "engines": engines,
        "ceiling": ceiling,
        "left_out": field.left_out,
    }
    document["share_of_ceiling"] = {
        precision: max(ours) / rate
        for precision, rate in ceiling.items()
        if (
            ours := [
                engine["tokens_per_s"]
                for engine in engines
                if engine["is_ours"] and engine["precision"] == precision
            ]
        )
    }
    document["ratio_to_best_peer"] = {
        "faithful": _ratio([one for one in engines if _is_faithful(one, has_random_weights)]),
        "fast": _ratio(engines),
    }
    return document


def _engine(contestant: Contestant, field: Field) -> dict[str, Any]:
    return {
        "name": contestant.name,
        "precision": contestant.precision,
        "is_ours": contestant.is_ours,
        "tokens_per_s": contestant.tokens_per_s(field.tokens),
        "rounds_s": contestant.rounds_s,
        "agreement": contestant.agreement,
        "f1": contestant.f1,
        "note": contestant.note,
    }


def _is_faithful(engine: Mapping[str, Any], has_random_weights: bool) -> bool:
    if has_random_weights or engine["agreement"] is None:
        return engine["precision"] in _FAITHFUL_PRECISIONS
    return bool(engine["agreement"] >= FAITHFUL_SHARE)


def _ratio(engines: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Our fastest against the fastest of the others, or None without one of either."""
    ours = [engine for engine in engines if engine["is_ours"]]
    others = [engine for engine in engines if not engine["is_ours"]]
    if not ours or not others:
        return None
    mine, best = (max(group, key=lambda one: one["tokens_per_s"]) for group in (ours, others))
    return {
        "ours": f"{mine['name']} {mine['precision']}",
        "peer": f"{best['name']} {best['precision']}",
        "ratio": mine["tokens_per_s"] / best["tokens_per_s"],
    }


def printed(found: Mapping[str, Any], console: Console) -> None:
    """The document for a person."""
    articles, settings = found["articles"], found["settings"]
    console.print(
        f"{found['machine']}; {articles['number']} articles, {settings['threads']} threads, "
        f"median of {settings['rounds']} rounds, {settings['clock']} time"
    )
    for model in found["models"]:
        console.print(_table(model))
        for name, ratio in model["ratio_to_best_peer"].items():
            if ratio is not None:
                console.print(
                    f"{name}: {ratio['ours']} is {ratio['ratio']:.2f} times {ratio['peer']}"
                )
        for name, reason in model["left_out"].items():
            console.print(safe(f"left out: {name} ({reason})"))


def _table(model: Mapping[str, Any]) -> Table:
    weights = ", random weights" if model["has_random_weights"] else ""
    table = Table(
        title=safe(f"{model['model']}{weights}; auto is {model['auto']}"),
        title_justify="left",
        box=None,
    )
    for head in ("", "tokens/s", "entities as float32", "F1", "of the ceiling"):
        table.add_column(head, justify="right" if head else "left")
    for engine in sorted(model["engines"], key=lambda one: -one["tokens_per_s"]):
        note = f" ({engine['note']})" if engine["note"] else ""
        is_ours = engine["is_ours"]
        table.add_row(
            f"{engine['name']} {engine['precision']}{note}",
            f"{engine['tokens_per_s']:,.0f}",
            _percent(engine["agreement"]),
            _percent(engine["f1"]),
            _percent(model["share_of_ceiling"].get(engine["precision"])) if is_ours else "",
            style="bold" if is_ours else "",
        )
    for precision, rate in model["ceiling"].items():
        table.add_row(f"ceiling {precision}", f"{rate:,.0f}", "", "", "", style="dim")
    return table


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
