"""Columns: a table of any length, written as it comes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from consumer.contracts.safe_text import safe
from consumer.terminal import say

#: Rows that decide how wide the columns are at first; a later row may widen them.
_FIRST_ROWS = 100


class Columns:
    """Writes to standard output; on a terminal a row takes one line, cut off at its edge.

    Args:
        names: of the columns. The last one is as long as it is.
        right: columns of numbers.
    """

    def __init__(self, names: Sequence[str], right: Sequence[str] = ()) -> None:
        self._names = names
        self._right = {names.index(name) for name in right}
        self._widths = [len(name) for name in names]
        self._waiting: list[Sequence[str]] = []
        self._is_begun = False
        is_terminal = sys.stdout.isatty()
        self._width = shutil.get_terminal_size().columns if is_terminal else None

    def add(self, cells: Sequence[str]) -> None:
        """One more row; characters that could do something to a terminal are escaped."""
        row = [safe(cell) for cell in cells]
        self._widths = [
            max(width, cell_len(cell)) for width, cell in zip(self._widths, row, strict=True)
        ]
        self._waiting.append(row)
        if self._is_begun or len(self._waiting) >= _FIRST_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits, and before the first row the names."""
        if not self._is_begun:
            self._is_begun = True
            self._waiting.insert(0, self._names)
        for row in self._waiting:
            self._write(row)
        self._waiting.clear()

    def _write(self, row: Sequence[str]) -> None:
        cells = [
            " " * (width - cell_len(cell)) + cell
            if at in self._right
            else set_cell_size(cell, width)
            for at, (cell, width) in enumerate(zip(row, self._widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        if self._width is not None and cell_len(line) > self._width:
            line = set_cell_size(line, self._width - 1) + "…"
        say(line)
