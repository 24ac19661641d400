"""Tables and plots of the model's page from recorded runs: `python -m benchmarks.tables.model`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.tables.page import fill, markdown, recorded, verdict
from consumer.bench.model.plot import plot

DOCS = Path(__file__).resolve().parents[2] / "docs"

#: The recorded runs, by what the page calls them.
RUNS = BUNDLED, BERT_BASE = "model-bundled", "model-bert-base"

#: Added to a run's name, with a hyphen, for the kind of processor: the usual one; one with AMX; one
#: with neither AMX nor bfloat16.
MACHINES = USUAL, AMX, PLAIN = "", "amx", "plain"


def main() -> None:
    """Write all tables into the page, and a plot beside it for each run."""
    page = DOCS / "notes" / "performance.md"
    page.write_text(filled(page.read_text("utf-8")), "utf-8")
    for name in RUNS:
        if (run := recorded(name)) is not None:
            plot(run, DOCS / "pictures" / f"{name}.svg")


def filled(page: str) -> str:
    """The page with its tables as the runs in `benchmarks/results` have them."""
    tables = (model_bundled, model_bert_base, model_claims)
    return fill(
        page,
        {
            _of(table.__name__, "_", machine): partial(table, machine)
            for machine in MACHINES
            for table in tables
        },
    )


def model_bundled(machine: str = USUAL) -> list[str]:
    """The bundled model on labelled articles."""
    return _engines(_of(BUNDLED, "-", machine))


def model_bert_base(machine: str = USUAL) -> list[str]:
    """BERT-base's geometry."""
    return _engines(_of(BERT_BASE, "-", machine))


def model_claims(machine: str = USUAL) -> list[str]:
    """What was aimed at, beside what was measured."""
    rows = []
    for name, goal in zip(RUNS, (1.05, 1.15), strict=True):
        if (run := recorded(_of(name, "-", machine))) is None:
            continue
        (model,) = run["models"]
        for kind, wanted in (("faithful", goal), ("fast", 1.0)):
            ratio = model["ratio_to_best_peer"][kind]
            rows.append(
                (
                    f"{model['model']}, {kind}",
                    f"{ratio['ours']} / {ratio['peer']}",
                    f"{ratio['ratio']:.2f}{verdict(ratio['ratio'], wanted)}",
                    f"at least {wanted:.2f}",
                )
            )
    if (run := recorded(_of(BERT_BASE, "-", machine))) is not None:
        (model,) = run["models"]
        precision = "int16" if machine == PLAIN else "bfloat16"
        share = model["share_of_ceiling"][precision]
        rows.append(
            (
                f"{model['model']}, share of the matmul",
                f"nerstream {precision} / {precision} matmul",
                f"{share:.0%}{verdict(share, 0.85)}",
                "at least 85%",
            )
        )
    return markdown(("claim", "who", "measured", "goal"), rows)


def _engines(name: str) -> list[str]:
    if (run := recorded(name)) is None:
        return []
    (model,) = run["models"]
    best = max(engine["tokens_per_s"] for engine in model["engines"])
    rows = [
        (
            f"{engine['name']} {engine['precision']}"
            + (f" ({engine['note']})" if engine["note"] else ""),
            f"{engine['tokens_per_s']:,.0f}",
            f"{engine['tokens_per_s'] / best:.2f}",
            _percent(engine["agreement"]),
            _percent(engine["f1"]),
        )
        for engine in sorted(model["engines"], key=lambda one: one["tokens_per_s"])
    ]
    rows += [
        (f"*matmul alone, {precision}*", f"{rate:,.0f}", f"{rate / best:.2f}", "", "")
        for precision, rate in model["ceiling"].items()
    ]
    head = ("", "tokens/s", "of the fastest", "entities as float32", "dev F1")
    return [f"{run['machine']}:", "", *markdown(head, rows)]


def _of(name: str, hyphen: str, machine: str) -> str:
    return f"{name}{hyphen}{machine}" if machine else name


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


if __name__ == "__main__":
    main()
