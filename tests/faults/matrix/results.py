"""Results: what the runs of the matrix have given so far, kept in a folder from run to run.

A run of the whole matrix takes hours. Each row's result is there as soon as the row has ended, so
that the matrix can be run in pieces, and by several processes at once.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from tests.faults.matrix.entry import Entry
from tests.faults.rows.row import Row


class Run(NamedTuple):
    """One row in one mode with one seed."""

    row: Row
    delivery: str
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.row.name}-{self.delivery}-{self.seed}"


class Results:
    """A file a run.

    Args:
        folder: of the files; it is made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def is_empty(self) -> bool:
        """Whether no run has ended yet."""
        return not any(self._folder.glob("*.json"))

    def has(self, run: Run) -> bool:
        """Whether it has ended."""
        return self._file(run).exists()

    @contextmanager
    def claimed(self, run: Run) -> Iterator[bool]:
        """Whether this process is to do it: it has not ended, and no other process is at it. The
        claim of a process that dies ends with it."""
        with (self._folder / f"{run.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield not self.has(run)

    def keep(self, run: Run, entry: Entry) -> None:
        """It has ended."""
        file = self._file(run)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(entry)), "utf-8")
        part.replace(file)

    def of(self, runs: Sequence[Run]) -> list[Entry]:
        """Those of these runs that have ended, in this order."""
        return [
            Entry.read(json.loads(self._file(run).read_text("utf-8")))
            for run in runs
            if self.has(run)
        ]

    def _file(self, run: Run) -> Path:
        return self._folder / f"{run.name}.json"
