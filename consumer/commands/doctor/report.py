"""What a person, or with `--json` a program, sees of `nerstream doctor`."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator

from rich.text import Text

from consumer.console import SafeConsole
from consumer.contracts.safe_text import safe
from consumer.doctor.finding import Finding, Status
from consumer.terminal import say, say_json, tell

#: Each status in a word of its own, so that nobody needs colours, and its colour.
_WORDS = {
    Status.GREEN: ("ok", "green"),
    Status.YELLOW: ("warn", "yellow"),
    Status.RED: ("FAIL", "bold red"),
    Status.GREY: ("?", "bright_black"),
}

#: Columns: two of margin, the word, the name of the check; then the text.
_MARGIN, _WORD, _NAME = 2, 6, 18

#: Columns of a line where the terminal is wider, or there is none.
_WIDEST, _WITHOUT_TERMINAL = 100, 80


class Report:
    """Writes findings to standard output as they come.

    Args:
        as_json: one JSON object a finding, and all else to standard error.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._room = ""
        self._counts: Counter[Status] = Counter()
        is_terminal = sys.stdout.isatty()
        columns = shutil.get_terminal_size().columns if is_terminal else _WITHOUT_TERMINAL
        self._width = max(min(columns, _WIDEST), 40)
        self._console = SafeConsole(file=sys.stdout, soft_wrap=True)
        self._errors = SafeConsole(file=sys.stderr)

    @contextlib.contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Show on a terminal what takes a while."""
        if not self._errors.is_terminal:
            yield
            return
        with self._errors.status(doing):
            yield

    def show(self, findings: Iterable[tuple[str, str, Finding]]) -> None:
        """Write findings: room, check, finding."""
        for room, check, finding in findings:
            self._counts[finding.status] += 1
            if self._as_json:
                self._write_json(room, check, finding)
            else:
                self._write(room, check, finding)

    def end(self) -> int:
        """Write the sum; the exit code."""
        failed = self._counts[Status.RED]
        parts = [
            f"{number} {words}"
            for status, words in (
                (Status.GREEN, "ok"),
                (Status.YELLOW, "to look at"),
                (Status.GREY, "not known"),
                (Status.RED, "failed"),
            )
            if (number := self._counts[status])
        ]
        verdict = (
            "A worker would not work, or would lose articles, as it is."
            if failed
            else "Nothing that was looked at is in the way of a worker."
        )
        if not self._as_json:
            say()
        for line in (", ".join(parts), verdict):
            (tell if self._as_json else say)(line)
        return 1 if failed else 0

    def _write_json(self, room: str, check: str, finding: Finding) -> None:
        line = {
            "room": room,
            "check": check,
            "status": finding.status.value,
            "text": finding.text,
            "remedy": finding.remedy or None,
        }
        say_json(line)
        sys.stdout.flush()

    def _write(self, room: str, check: str, finding: Finding) -> None:
        if room != self._room:
            self._console.print(Text(("\n" if self._room else "") + room, style="bold"))
            self._room = room
        word, style = _WORDS[finding.status]
        indent = _MARGIN + _WORD + _NAME
        first, *rest = self._wrapped(finding.text, indent) or [""]
        line = Text(" " * _MARGIN)
        line.append(word.ljust(_WORD), style)
        line.append(check.ljust(_NAME) + first)
        self._console.print(line)
        for one in rest:
            self._console.print(Text(" " * indent + one))
        if finding.remedy:
            arrow = "-> "
            for number, one in enumerate(self._wrapped(finding.remedy, indent + len(arrow))):
                start = arrow if number == 0 else " " * len(arrow)
                self._console.print(Text(" " * indent + start + one, style=style))

    def _wrapped(self, text: str, indent: int) -> list[str]:
        return textwrap.wrap(
            safe(text),
            max(self._width - indent, 20),
            break_long_words=False,
            break_on_hyphens=False,
        )
