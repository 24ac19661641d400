"""What `nerstream compare` found, for a program and for a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from consumer.contracts.messages import Entity, ModelInfo
from consumer.contracts.safe_text import safe
from consumer.evaluation.comparison import (
    ENOUGH_ENTITIES,
    FAITHFUL_SHARE,
    Comparison,
    Difference,
    Tally,
)


@dataclass(slots=True, eq=False)
class CompareReport:
    """The result of a run.

    Attributes:
        model: the reference, in float32.
        comparison: what was found.
        differences: how many of each precision to show.
        written: the file that says so now, if one was written.
    """

    model: ModelInfo
    comparison: Comparison
    differences: int
    written: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object; `is_faithful` is null where there were too few entities to say."""
        comparison = self.comparison
        reference, *others = comparison.tallies
        return {
            "model": {
                "name": self.model.name,
                "revision": self.model.revision,
                "device": self.model.device,
            },
            "articles": comparison.articles,
            "tokens": comparison.tokens,
            "entities": reference.found,
            "reference": {"dtype": reference.dtype, "tokens_per_s": self._rate(reference)},
            "precisions": [
                {
                    "dtype": tally.dtype,
                    "entities": tally.found,
                    "shared": tally.shared,
                    "kept": tally.kept,
                    "confirmed": tally.confirmed,
                    "is_faithful": tally.is_faithful if comparison.has_enough else None,
                    "tokens_per_s": self._rate(tally),
                    "differences": [
                        _difference(one) for one in tally.differences[: self.differences]
                    ],
                }
                for tally in others
            ],
            "written": None if self.written is None else str(self.written),
        }

    def _rate(self, tally: Tally) -> float:
        return round(self.comparison.tokens / tally.seconds, 1) if tally.seconds else 0.0

    def rows(self) -> list[tuple[str, ...]]:
        """The table: precision, what it keeps, what of it is confirmed, its rate, the verdict."""
        reference, *others = self.comparison.tallies
        return [
            (reference.dtype, "", "", f"{self._rate(reference):,.0f}", ""),
            *(
                (
                    tally.dtype,
                    f"{tally.kept:.2%}",
                    f"{tally.confirmed:.2%}",
                    f"{self._rate(tally):,.0f}",
                    self._verdict(tally),
                )
                for tally in others
            ),
        ]

    def _verdict(self, tally: Tally) -> str:
        if not self.comparison.has_enough:
            return "?"
        return "yes" if tally.is_faithful else "no"


def write_tables(report: CompareReport, console: Console) -> None:
    """The report for a reader."""
    comparison, model = report.comparison, report.model
    found = comparison.tallies[0].found
    console.print(
        f"{safe(model.name)} on {model.device}: {comparison.articles:,} articles, "
        f"{comparison.tokens:,} tokens; float32 finds {found:,} entities",
        soft_wrap=True,
    )
    console.print()
    table = Table(box=None, pad_edge=False)
    heads = ("precision", "of float32's found", "of its own right", "tokens/s", "faithful")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in report.rows():
        table.add_row(*row)
    console.print(table)
    console.print()
    if comparison.has_enough:
        console.print(f"faithful: at least {FAITHFUL_SHARE:.1%} of both")
    else:
        console.print(
            f"too few entities to say what is faithful: {found:,}; give it articles with "
            f"{ENOUGH_ENTITIES:,} or more",
            soft_wrap=True,
        )
    for tally in comparison.tallies[1:]:
        _print_differences(tally, report.differences, console)
    if report.written is not None:
        console.print(f"\nwritten for dtype=auto: {safe(str(report.written))}", soft_wrap=True)


def _print_differences(tally: Tally, most: int, console: Console) -> None:
    shown = tally.differences[:most]
    if not shown:
        return
    count = len(tally.differences)
    which = f"{count:,} differences" if len(shown) == count else f"{len(shown)} of {count:,}"
    console.print(f"\n{tally.dtype} beside float32, {which}:")
    for one in shown:
        console.print(
            safe(f"  {one.article}: {_named(one.expected)} -> {_named(one.found)}"),
            soft_wrap=True,
        )


def _named(entity: Entity | None) -> str:
    return "nothing" if entity is None else f"{' '.join(entity.text.split())} ({entity.type})"


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "article": one.article,
        "float32": _entity(one.expected),
        "instead": _entity(one.found),
    }


def _entity(entity: Entity | None) -> dict[str, Any] | None:
    if entity is None:
        return None
    return {
        "field": entity.field,
        "type": entity.type,
        "text": entity.text,
        "start": entity.start,
        "end": entity.end,
    }
