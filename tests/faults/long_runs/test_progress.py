"""The line that shows how far a run is."""

from __future__ import annotations

import io

from tests.faults.long_runs.process_figures import Figures
from tests.faults.long_runs.progress import Progress
from tests.faults.long_runs.through_worker import Sample

SAMPLE = Sample(1_500, 3.0, Figures(64 * 2**20, 70 * 2**20, 18, 26))
LINE = "1,500 of 3,000 messages, 3 s, 500/s, 64 MiB, 18 threads, 26 descriptors"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_log_it_is_a_line_now_and_then() -> None:
    stream = io.StringIO()
    with Progress(3_000, stream) as progress:
        progress(SAMPLE)
        progress(SAMPLE)
    assert stream.getvalue() == f"{LINE}\n"


def test_in_a_log_the_end_is_always_told() -> None:
    stream = io.StringIO()
    with Progress(1_500, stream) as progress:
        progress(SAMPLE)
        progress(SAMPLE)
    assert stream.getvalue().count("1,500 of 1,500") == 2


def test_on_a_terminal_it_is_one_line_that_changes() -> None:
    stream = Terminal()
    with Progress(3_000, stream) as progress:
        progress(SAMPLE)
        progress(SAMPLE)
    assert stream.getvalue() == f"\r\x1b[2K{LINE}" * 2 + "\n"
