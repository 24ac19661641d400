from __future__ import annotations

import io

from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from consumer.console import SafeConsole
from consumer.contracts.safe_streams import SafeWriter
from tests.support.planted import WITH_NUL, harm_in


def test_no_text_commands_the_terminal() -> None:
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, width=4_000, color_system="truecolor")
    one_line = WITH_NUL.replace("\n", " ")
    console.print(one_line)
    console.print(Text(one_line, style="bold"))
    table = Table(title=one_line)
    table.add_column(one_line)
    table.add_row(one_line)
    console.print(table)
    shown = out.getvalue()
    assert harm_in(shown, styled=True) == []
    assert shown.count("[bold]markup[/bold][/] :smile:") == 5
    assert "\x1b[1m" in shown


def test_a_bar_still_moves() -> None:
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, width=100)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as bar:
        bar.add_task("a\x1b[2Jb")
    shown = out.getvalue()
    assert "a\\x1b" in shown
    assert "\x1b[2K" in shown  # rich's own
    assert "\x1b[2J" not in shown


def test_it_writes_colours_past_the_guard_of_a_stream() -> None:
    out = io.BytesIO()
    stream = SafeWriter(out, encoding="utf-8")
    console = SafeConsole(file=stream, force_terminal=True)
    console.print(Text("\x9bred", style="bold"))
    stream.flush()
    assert out.getvalue() == b"\x1b[1m\\x9bred\x1b[0m\n"
