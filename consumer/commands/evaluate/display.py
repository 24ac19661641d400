"""What a person or a program sees of `nerstream evaluate`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from consumer.commands.evaluate.report import Report
from consumer.console import SafeConsole
from consumer.contracts.safe_text import safe
from consumer.evaluation.confusion import Confusion, Mention
from consumer.evaluation.scoring import Score
from consumer.terminal import say

#: Time between two lines of progress where standard error is no terminal.
_LINE_INTERVAL_S = 10.0

#: Longest mention that the list of errors shows in full.
_MENTION_CHARACTERS = 34


@contextlib.contextmanager
def progress_of(
    total: int, noun: str, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """Gives a function to call with the number that is done; a bar or lines on standard error."""
    console = console or SafeConsole(stderr=True)
    if not console.is_terminal:
        yield _Lines(total, noun, console).show
        return
    with Progress(
        TextColumn("tagging {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task(noun, total=total)
        yield lambda done: bar.update(task, completed=done)


class _Lines:
    """Progress for a log: a line now and then, none for what is over at once."""

    def __init__(self, total: int, noun: str, console: Console) -> None:
        self._total = total
        self._noun = noun
        self._console = console
        self._last_s = time.monotonic()

    def show(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last_s >= _LINE_INTERVAL_S:
            self._last_s = now
            self._console.print(f"tagged {done:,} of {self._total:,} {self._noun}")


def write_tables(report: Report, errors: int) -> None:
    """The report for a reader, so many of its most frequent errors included."""
    for block in (_head(report), _scores(report), _confusion(report.confusion)):
        for line in (*block, ""):
            say(line)
    for line in _errors(report.confusion, errors):
        say(line)


def _head(report: Report) -> list[str]:
    statistics, model = report.statistics, report.model
    entities = ", ".join(f"{count:,} {name}" for name, count in statistics.entities)
    joined = f", joined up to {report.join_words:,} words" if report.join_words else ""
    limit = f"{report.window_tokens} tokens" if report.window_tokens else "the model's limit"
    return [
        f"corpus   {report.file}: {statistics.articles:,} articles, "
        f"{statistics.sentences:,} sentences "
        f"({statistics.sentences + statistics.articles:,} with -DOCSTART- lines), "
        f"{statistics.words:,} tokens",
        f"         {entities or 'no entities'}",
        f"model    {model.name} {model.revision} on {model.device} ({model.dtype})",
        f"         labels {model.scheme}, outside {', '.join(model.outside)}",
        f"run      {report.level} by {report.level}{joined}, aggregation {report.aggregation}, "
        f"windows of {limit}, overlap {report.window_overlap_tokens} tokens; "
        f"{report.tokens:,} tokens of the model in {report.seconds:.1f} s",
    ]


def _scores(report: Report) -> list[str]:
    rows = [(name, score) for name, score in report.scores.by_type]
    rows += [("all", report.scores.overall), ("all, exact characters", report.by_characters)]
    return _table(
        ["", "precision", "recall", "F1", "gold", "predicted", "correct"],
        [_score_row(name, score) for name, score in rows],
    )


def _score_row(name: str, score: Score) -> list[str]:
    fractions = [f"{value:.2%}" for value in (score.precision, score.recall, score.f1)]
    return [name, *fractions, *(f"{n:,}" for n in (score.gold, score.predicted, score.correct))]


def _confusion(confusion: Confusion) -> list[str]:
    types = confusion.types
    rows = [
        [
            gold,
            *(f"{confusion.same_words[gold, name]:,}" for name in types),
            f"{confusion.gold_other_edges[gold]:,}",
            f"{confusion.gold_missed[gold]:,}",
        ]
        for gold in types
    ]
    rows.append(["other edges", *(f"{confusion.predicted_other_edges[name]:,}" for name in types)])
    rows.append(["nothing", *(f"{confusion.predicted_spurious[name]:,}" for name in types)])
    return _table(["gold \\ predicted", *types, "other edges", "nothing"], rows)


def _errors(confusion: Confusion, limit: int) -> list[str]:
    total = sum(count for _, count in confusion.errors)
    shown = confusion.errors[:limit]
    if not shown:
        return [f"{total:,} errors"]
    rows = [
        [str(error.kind), _shown(error.gold), _shown(error.predicted), f"{count:,}"]
        for error, count in shown
    ]
    return [
        f"{total:,} errors, {len(confusion.errors):,} different; the most frequent:",
        *_table(["", "gold", "predicted", "times"], rows, left=3),
    ]


def _shown(mention: Mention | None) -> str:
    if mention is None:
        return "-"
    text = mention.text
    if len(text) > _MENTION_CHARACTERS:
        text = text[: _MENTION_CHARACTERS - 1] + "…"
    return f"{mention.type} {text}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of columns; the first `left` ones begin, the others end, one under the other."""
    lines = [list(head), *([*row, *[""] * (len(head) - len(row))] for row in rows)]
    lines = [[safe(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
