"""A bar with a rate and the time left, on standard error where that is a terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from consumer.console import SafeConsole

#: How often the bar moves, in seconds.
_INTERVAL_S = 0.1


@contextlib.contextmanager
def rate_bar(
    total: int | None, text: str, *more: ProgressColumn
) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to call with what is done of the total, and with what the rate counts.

    Args:
        total: None where it is not known.
        text: what stands before the bar; `{task.fields[counted]}` is what the rate counts.
        more: columns between the bar and the rate.
    """
    console = SafeConsole(stderr=True)
    bar = Progress(
        TextColumn(text),
        BarColumn(),
        *more,
        TextColumn("{task.fields[rate]:,.0f} a second"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    started = shown_at = time.monotonic()
    task = bar.add_task("", total=total, counted=0, rate=0.0)
    latest = (0, 0)

    def show(now: float) -> None:
        done, counted = latest
        rate = counted / max(now - started, 1e-9)
        bar.update(task, completed=done, counted=counted, rate=rate)

    def move(done: int, counted: int) -> None:
        nonlocal shown_at, latest
        latest = (done, counted)
        now = time.monotonic()
        if now - shown_at >= _INTERVAL_S:
            shown_at = now
            show(now)

    with bar:
        yield move
        show(time.monotonic())
