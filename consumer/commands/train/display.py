"""The progress of `nerstream train` on standard error: a bar on a terminal,
plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from consumer.console import SafeConsole

if TYPE_CHECKING:
    from consumer.training.progress import EpochReport, Progress

#: Time between two plain lines, so that a log of a run of hours stays readable.
_LINE_INTERVAL_S = 30.0


class TrainingDisplay:
    """A context manager; the bar is gone when it is left."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or SafeConsole(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, loss=float("nan"))
        self._last_line_s = float("-inf")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show_progress(self, progress: Progress) -> None:
        """After each batch."""
        if self._console.is_terminal:
            self._bar.update(
                self._task,
                description=f"epoch {progress.epoch}",
                completed=progress.batch,
                total=progress.batches,
                loss=progress.loss,
            )
            return
        now = time.monotonic()
        if now - self._last_line_s >= _LINE_INTERVAL_S:
            self._last_line_s = now
            self._console.print(
                f"epoch {progress.epoch}: batch {progress.batch} of {progress.batches}, "
                f"loss {progress.loss:.4f}",
                highlight=False,
            )

    def show_epoch(self, report: EpochReport) -> None:
        """After each epoch, in either form."""
        overall = report.scores.overall
        self._console.print(
            f"epoch {report.epoch}: loss {report.loss:.4f}, precision {overall.precision:.2%}, "
            f"recall {overall.recall:.2%}, F1 {overall.f1:.2%}"
            f"{' (best, saved)' if report.is_best else ''}, "
            f"{report.training_s:.0f} s training, {report.scoring_s:.0f} s scoring",
            highlight=False,
            soft_wrap=True,
        )
