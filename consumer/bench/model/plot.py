"""The picture of `nerstream bench model`: a bar for each engine, beside the ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OURS, _OTHERS, _CEILING = "#1f6feb", "#8c959f", "#d0d7de"


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Draw the document into an .svg or .png file."""
    import matplotlib

    # No window, whatever the machine has.
    matplotlib.use("Agg")
    from matplotlib import pyplot

    models = found["models"]
    bars = [_bars(model) for model in models]
    figure, all_axes = pyplot.subplots(
        len(models),
        1,
        squeeze=False,
        figsize=(9, sum(0.34 * len(one) + 1.1 for one in bars)),
        layout="constrained",
        height_ratios=[len(one) + 3 for one in bars],
    )
    for axes, model, one in zip(all_axes[:, 0], models, bars, strict=True):
        names, rates, colors, marks = zip(*one, strict=True)
        drawn = axes.barh(names, rates, color=colors)
        axes.bar_label(drawn, labels=marks, padding=4, fontsize=8)
        axes.margins(x=0.22)
        axes.set_title(model["model"], loc="left", fontsize=10)
        axes.set_xlabel("tokens/s")
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(found["machine"], fontsize=9, x=0.01, ha="left")
    # Without a date the same figures give the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, dpi=150, metadata=metadata)
    pyplot.close(figure)


def _bars(model: Mapping[str, Any]) -> list[tuple[str, float, str, str]]:
    """Name, tokens/s, colour and what stands beside the bar; the slowest first, at the bottom."""
    bars = []
    for engine in model["engines"]:
        rate, agreement = engine["tokens_per_s"], engine["agreement"]
        mark = f"{rate:,.0f}" + ("" if agreement is None else f"  ({agreement:.1%} of entities)")
        color = _OURS if engine["is_ours"] else _OTHERS
        bars.append((f"{engine['name']} {engine['precision']}", rate, color, mark))
    for precision, rate in model["ceiling"].items():
        bars.append((f"matmul alone, {precision}", rate, _CEILING, f"{rate:,.0f}"))
    return sorted(bars, key=lambda bar: bar[1])
