"""The tables of the pages on operations: `python -m benchmarks.tables.operations`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.tables.gpu import BUNDLED_WORKERS, WORKERS
from benchmarks.tables.page import fill, markdown, recorded
from benchmarks.tables.worker import ARTICLE_TOKENS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "operations"

#: A label, the run whose rate counts, and how many devices it had; of a CPU the cores are recorded.
_CPUS = (
    ("EPYC, AVX-512 with bfloat16 (Zen 5)", ""),
    ("EPYC, AVX2 (Zen 3)", "-plain"),
    ("Xeon, AMX, an earlier engine", "-amx"),
)
_MODELS = (("bundled", "worker-bundled"), ("BERT-base", "worker-bert-base"))
_GPUS = (("bundled", BUNDLED_WORKERS[4]), ("BERT-base", WORKERS[4]))

#: The columns: how the workers are in the group.
_WAYS = ("classic", "classic, 10 s", "classic, static", "KIP-848", "KIP-848, static")


def cost() -> list[str]:
    """Articles an hour, of a core or of a GPU."""
    rows = []
    for model, run_name in _MODELS:
        for label, suffix in _CPUS:
            if (run := recorded(run_name + suffix)) is not None:
                rows.append((model, label, *_hourly(run, run["cores"]), _gib(run)))
    for model, run_name in _GPUS:
        if (run := recorded(run_name)) is not None:
            label = "an H100 and its 16 cores, four workers"
            rows.append((model, label, *_hourly(run, 1), _gib(run)))
    head = ("model", "a core of", "articles an hour", "hours for a million", "memory of a worker")
    return markdown(head, rows)


def _hourly(run: dict[str, Any], units: int) -> tuple[str, str]:
    hourly = run["throughput"]["tokens_per_s"] / ARTICLE_TOKENS * 3_600 / units
    hours = 1e6 / hourly
    return f"{_three_digits(hourly):,}", f"{hours:.1f}" if hours >= 1 else f"{hours:.2g}"


def _three_digits(number: float) -> int:
    return int(float(f"{number:.3g}"))


def _gib(run: dict[str, Any]) -> str:
    return f"{run['peak_bytes'] / 2**30:.1f} GiB"


def handover() -> list[str]:
    """The longest that an article waited, in each way of being in the group."""
    run = recorded("handover")
    found: dict[str, dict[str, str]] = {}
    for one in run["scenes"] if run else ():
        longest, shortest = max(one["wait_s"]), min(one["wait_s"])
        told = f"{longest:.1f} s" if longest - shortest < 1 else f"{longest:.0f} s ({shortest:.1f})"
        found.setdefault(one["scene"], {})[one["way"]] = told
    # A way that was not measured in every scene is none to compare with.
    whole = [way for way in _WAYS if all(way in ways for ways in found.values())]
    rows = [(scene, *(ways[way] for way in whole)) for scene, ways in found.items()]
    return markdown(("", *whole), rows)


def filled(page: str) -> str:
    """The page with its tables as the runs in `benchmarks/results` have them."""
    return fill(page, {"cost": cost, "handover": handover})


def main() -> None:
    """Write the tables into the pages."""
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(filled(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
