"""Tables of the GPU's page from recorded runs: `python -m benchmarks.tables.gpu`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.tables.page import fill, markdown, recorded, verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notes" / "performance-gpu.md"

#: The recorded runs: the model alone, and workers by how many there are.
MODEL = "gpu-model"
WORKERS = {1: "gpu-worker-bert-base", 4: "gpu-worker-bert-base-four-workers"}
BUNDLED_WORKERS = {1: "gpu-worker-bundled", 4: "gpu-worker-bundled-four-workers"}

#: Of the model's run, the one that is measured whole.
BERT_BASE = "BERT-base geometry, random weights"


def main() -> None:
    """Write all tables into the page."""
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")


def filled(page: str) -> str:
    """The page with its tables as the runs in `benchmarks/results` have them."""
    tables = (gpu_claims, gpu_forms, gpu_bundled_forms, gpu_workers)
    return fill(page, {table.__name__: table for table in tables})


def gpu_claims() -> list[str]:
    """What was aimed at and what was found."""
    if (run := recorded(MODEL)) is None:
        return []
    model = run["models"][BERT_BASE]
    rate = model["forms"][model["best_form"]]["tokens_per_s"]
    share, at_first = model["share_of_matrix_rate"], model["share_of_matrix_rate_at_first"]
    found = [
        (
            "share of the matrix rate, model only",
            "at least 60 %",
            f"{share:.0%} of the rate that the device keeps up, {at_first:.0%} of the rate of its "
            "first 30 matmuls",
        ),
        (
            "against the Hugging Face pipeline in fp16 at its best batch size",
            "at least 8 times",
            f"{model['ratio_to_pipeline']:.0f} times",
        ),
    ]
    for workers, goal in ((1, 0.5), (4, 0.85)):
        if (record := recorded(WORKERS[workers])) is None:
            continue
        # Of the same articles where the run has it; else those of the model's run are shorter.
        of_model = record["throughput"].get(
            "share_of_model_only", record["throughput"]["tokens_per_s"] / rate
        )
        label = "one worker, of model only" if workers == 1 else f"{workers} workers on it"
        aim, share = f"at least {goal:.0%}".replace("%", " %"), f"{of_model:.0%}"
        found.append((label, aim, share + verdict(of_model, goal)))
    return markdown(("", "aimed at", "found"), found)


def gpu_forms() -> list[str]:
    """The engine's forms and sizes of a pass, and its peer: BERT-base."""
    return _forms(BERT_BASE)


def gpu_bundled_forms() -> list[str]:
    """The same of the bundled model."""
    return _forms("bundled")


def _forms(name: str) -> list[str]:
    if (run := recorded(MODEL)) is None:
        return []
    model, matrix = run["models"][name], run["matrix_operations_per_s"]

    def row(label: str, result: dict[str, Any]) -> tuple[str, ...]:
        return (
            label,
            f"{result['tokens_per_s']:,.0f}",
            f"{result['operations_per_s'] / matrix:.1%}",
            f"{result['peak_bytes'] / 2**30:.1f} GiB",
        )

    rows = [row(f"{form}, 16,384 tokens a pass", one) for form, one in model["forms"].items()]
    best = model["best_form"]
    rows += [
        row(f"{best}, {int(size):,} tokens", one) for size, one in model["pass_tokens"].items()
    ]
    rows += [
        (f"transformers' pipeline, fp16, batch size {size}", f"{rate:,.0f}", "", "")
        for size, rate in model["pipeline_tokens_per_s"].items()
    ]
    return markdown(("", "tokens/s", "of the matrix rate", "memory"), rows)


def gpu_workers() -> list[str]:
    """From broker to broker."""
    rows = []
    for workers, name in [*WORKERS.items(), *BUNDLED_WORKERS.items()]:
        if (record := recorded(name)) is None:
            continue
        found = record["throughput"]
        busy = ", ".join(f"{stage} {share / workers:.0%}" for stage, share in found["busy"].items())
        rows.append(
            (
                "bundled" if record["model"] == "bundled" else "BERT-base",
                str(workers),
                str(record["settings"]["tokenizer_processes"]),
                f"{found['articles_per_s']:,.0f}",
                f"{found['tokens_per_s']:,.0f}",
                f"{found['cores']:.1f}",
                busy,
            )
        )
    return markdown(
        (
            "model",
            "workers",
            "processes that tokenise, each",
            "articles/s",
            "tokens/s",
            "cores",
            "time by stage",
        ),
        rows,
    )


if __name__ == "__main__":
    main()
