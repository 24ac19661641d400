"""What a person sees of a bounded run."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from rich.console import Console

from consumer.commands.run_progress import LINE_INTERVAL_S, Lines, shown_progress, spoken
from consumer.contracts.runs import Gone, RunProgress, RunState
from tests.support.fakes import P0, P1, ManualClock


def progress(done: int, total: int, left_s: float | None = 25.4) -> RunProgress:
    return RunProgress(RunState(done, total, done == total), 310.2, left_s)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (progress(1_204, 9_000), "1,204 of 9,000 articles, 13 %, 310/s, 0:00:25 left"),
        (progress(0, 9_000, None), "0 of 9,000 articles, 0 %, 310/s, -:--:-- left"),
        (progress(8_999, 9_000, 100_000.0), "8,999 of 9,000 articles, 99 %, 310/s, 27:46:40 left"),
        (
            RunProgress(RunState(100, 100, True, (Gone(P0, 2_900, 3_000), Gone(P1, 1, 9))), 3, 0),
            "100 of 100 articles, 100 %, 3/s, 0:00:00 left, 2,901 gone before they were read",
        ),
        (progress(0, 0, 0.0), "0 of 0 articles, 100 %, 310/s, 0:00:00 left"),
    ],
)
def test_articles_share_rate_and_time_left_are_said(seen: RunProgress, said: str) -> None:
    assert spoken(seen) == said


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end() -> None:
    clock = ManualClock()
    lines: list[str] = []
    shown = Lines(lines.append, clock)
    shown.show(None)
    assert lines == []
    for done in range(3):
        shown.show(progress(done, 9))
    assert len(lines) == 1
    clock.advance(LINE_INTERVAL_S)
    shown.show(progress(3, 9))
    for _ in range(3):
        shown.show(progress(9, 9))
    assert [line.split(" ")[0] for line in lines] == ["0", "3", "9"]


def test_a_bar_on_a_terminal_leaves_the_log_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    handler = logging.StreamHandler(screen)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with shown_progress(Console(file=screen, force_terminal=True, width=100)) as show:
            show(progress(1_204, 9_000))
            root.warning("a line of the log")
            show(progress(9_000, 9_000, 0.0))
        assert handler.stream is screen
    finally:
        root.removeHandler(handler)
    lines = screen.getvalue().replace("\x1b[2K", "").split("\n")
    assert any(line.endswith("a line of the log") for line in lines)
    assert "9,000 of 9,000 articles, 100 %, 310/s, 0:00:00 left" in screen.getvalue()
