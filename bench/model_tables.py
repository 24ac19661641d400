"""Tables and plots of the model's page from recorded runs: `python -m bench.model_tables`."""

from __future__ import annotations

from pathlib import Path

from bench.tables import fill, markdown, recorded, verdict
from consumer.commands.bench_model_plot import plot

DOCS = Path(__file__).resolve().parents[1] / "docs"

#: The recorded runs, by what the page calls them.
RUNS = BUNDLED, BERT_BASE = "model-bundled", "model-bert-base"

#: Added to a run's name where the processor multiplies tiles (AMX).
TILES = "-tiles"

#: The same where it multiplies neither those nor bfloat16.
PLAIN = "-plain"


def main() -> None:
    """Write all tables into the page, and a plot beside it for each run."""
    page = DOCS / "performance.md"
    page.write_text(filled(page.read_text("utf-8")), "utf-8")
    for name in RUNS:
        if (run := recorded(name)) is not None:
            plot(run, DOCS / f"{name}.svg")


def filled(page: str) -> str:
    """The page with its tables as the runs in `bench/results` have them."""
    tables = (model_bundled, model_bert_base, model_claims)
    with_tiles = (model_bundled_tiles, model_bert_base_tiles, model_claims_tiles)
    plain = (model_bundled_plain, model_bert_base_plain, model_claims_plain)
    return fill(page, (*tables, *with_tiles, *plain))


def model_bundled() -> list[str]:
    """The bundled model on labelled articles."""
    return _engines(BUNDLED)


def model_bundled_tiles() -> list[str]:
    """The same on a processor with tiles."""
    return _engines(BUNDLED + TILES)


def model_bert_base() -> list[str]:
    """BERT-base's geometry."""
    return _engines(BERT_BASE)


def model_bert_base_tiles() -> list[str]:
    """The same on a processor with tiles."""
    return _engines(BERT_BASE + TILES)


def model_claims() -> list[str]:
    """What was aimed at, beside what was measured."""
    return _claims("")


def model_claims_tiles() -> list[str]:
    """The same on a processor with tiles."""
    return _claims(TILES)


def model_bundled_plain() -> list[str]:
    """The bundled model on a processor without bfloat16."""
    return _engines(BUNDLED + PLAIN)


def model_bert_base_plain() -> list[str]:
    """BERT-base's geometry there."""
    return _engines(BERT_BASE + PLAIN)


def model_claims_plain() -> list[str]:
    """What was aimed at there."""
    return _claims(PLAIN)


def _claims(machine: str) -> list[str]:
    rows = []
    for name, goal in zip(RUNS, (1.05, 1.15), strict=True):
        if (run := recorded(name + machine)) is None:
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
    if (run := recorded(BERT_BASE + machine)) is not None:
        (model,) = run["models"]
        precision = "float32" if machine == PLAIN else "bfloat16"
        share = model["share_of_ceiling"][precision]
        rows.append(
            (
                f"{model['model']}, share of the products",
                f"nerstream {precision} / {precision} products",
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
        (f"*products alone, {precision}*", f"{rate:,.0f}", f"{rate / best:.2f}", "", "")
        for precision, rate in model["ceiling"].items()
    ]
    head = ("", "tokens/s", "of the fastest", "entities as float32", "dev F1")
    return [f"{run['machine']}:", "", *markdown(head, rows)]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


if __name__ == "__main__":
    main()
