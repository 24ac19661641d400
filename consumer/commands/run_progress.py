"""What a person sees of a bounded run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from consumer.console import SafeConsole
from consumer.contracts.runs import RunProgress
from consumer.contracts.safe_streams import styled

#: Seconds between two lines where standard error is no terminal.
LINE_INTERVAL_S = 10.0

#: Called with what is known of the run; None before anything is.
Show: TypeAlias = Callable[[RunProgress | None], None]

#: Where time left is not known.
_UNKNOWN = "-:--:--"


def spoken(progress: RunProgress) -> str:
    """Articles, share, rate and time left, such as `1,204 of 9,000 articles, 13 %, 310/s,
    0:00:25 left`; and what was gone."""
    done, total, _, gone = progress.state
    share = 100 * done // total if total else 100
    return (
        f"{done:,} of {total:,} articles, {share} %, {progress.rate:,.0f}/s, "
        f"{duration(progress.left_s)} left"
        + (f", {sum(one.offsets for one in gone):,} gone before they were read" if gone else "")
    )


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds."""
    if seconds is None:
        return _UNKNOWN
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"


class Lines:
    """A line when something is known first, every `LINE_INTERVAL_S`, and at the end.

    Args:
        write: takes a line.
        clock: seconds, monotonic.
    """

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._due_at: float | None = None
        self._is_over = False

    def show(self, progress: RunProgress | None) -> None:
        """Take what is known now; called some ten times a second."""
        if progress is None or self._is_over:
            return
        now = self._clock()
        self._is_over = progress.state.is_complete
        if self._is_over or self._due_at is None or now >= self._due_at:
            self._due_at = now + LINE_INTERVAL_S
            self._write(spoken(progress))


@contextmanager
def shown_progress(
    console: Console | None = None,
) -> Iterator[Show]:
    """Gives a function to call with the progress, which shows it on standard error."""
    console = console or SafeConsole(stderr=True)
    if not console.is_terminal:
        yield Lines(logging.getLogger("nerstream.run").info).show
        return
    # The log goes to the same terminal: it is written above the bar.
    handlers = [
        one
        for one in logging.getLogger().handlers
        if isinstance(one, logging.StreamHandler) and one.stream is styled(sys.stderr)
    ]
    before = styled(sys.stderr)
    bar = Progress(BarColumn(), TextColumn("{task.description}"), console=console)
    with bar:
        for handler in handlers:
            handler.setStream(sys.stderr)
        task = bar.add_task("the model is being loaded", total=None)

        def show(progress: RunProgress | None) -> None:
            if progress is not None:
                total = max(progress.state.total, 1)
                done = total if progress.state.is_complete else progress.state.done
                bar.update(task, total=total, completed=done, description=spoken(progress))

        try:
            yield show
        finally:
            for handler in handlers:
                handler.setStream(before)
