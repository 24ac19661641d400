"""Progress: a line on standard error that shows how far a run is."""

from __future__ import annotations

import sys
import time
from typing import Self, TextIO

from tests.faults.long_runs.through_worker import Sample

#: Seconds between two lines where they cannot replace one another.
_LINE_S = 10.0


class Progress:
    """Call it with each sample; ends its line when it is left.

    Args:
        messages: how many there are in all.
        stream: where the line goes; None is standard error.
    """

    def __init__(self, messages: int, stream: TextIO | None = None) -> None:
        self._messages = messages
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._due_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._stream.write("\n")

    def __call__(self, sample: Sample) -> None:
        now = time.monotonic()
        ended = sample.resolved >= self._messages
        if now < self._due_at and not self._live and not ended:
            return
        self._due_at = now + _LINE_S
        figures = sample.figures
        line = (
            f"{sample.resolved:,} of {self._messages:,} messages, {sample.at_s:.0f} s, "
            f"{sample.resolved / max(sample.at_s, 0.001):,.0f}/s, "
            f"{figures.resident_bytes / 2**20:.0f} MiB, {figures.threads} threads, "
            f"{figures.descriptors} descriptors"
        )
        self._stream.write(f"\r\x1b[2K{line}" if self._live else f"{line}\n")
        self._stream.flush()
