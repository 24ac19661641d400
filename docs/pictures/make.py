"""Makes the pictures of this folder: `make pictures`. Needs Graphviz's `dot`, and runs the demo.

`article.svg` comes from `article.dot`, and carries a digest of it, so that a test can tell whether
it is up to date. `demo.svg` is what `nerstream demo` prints on a terminal of 100 columns, with the
some articles left out.
"""

from __future__ import annotations

import hashlib
import os
import pty
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

FOLDER = Path(__file__).resolve().parent

#: Characters of a line on the terminal of the picture.
COLUMNS = 100

#: Beginnings of the headlines that are shown; the order of articles differs from run to run.
SHOWN = ("Storm closes", "Diallo", "Kenya", "OpenAI")
ARTICLE = re.compile(r"^ +\d+  (?=\S)(.+)")
#: The line at which the figures begin.
END = re.compile(r"^articles +\d+ tagged")

#: Colours that can be read: the demo writes black on the bright ones.
THEME = TerminalTheme(
    (24, 28, 33),
    (222, 226, 230),
    [(0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (222, 226, 230)],
    [
        (90, 98, 104),
        (255, 138, 128),
        (134, 219, 148),
        (255, 209, 102),
        (130, 177, 255),
        (221, 160, 245),
        (118, 210, 226),
        (255, 255, 255),
    ],
)


def digest(source: str) -> str:
    """What `article.svg` says of the source that it was made from."""
    return hashlib.sha256(source.encode()).hexdigest()


def article_svg(source: str) -> str:
    """The drawing of `article.dot`."""
    drawn = subprocess.run(
        ["dot", "-Tsvg"], input=source, capture_output=True, text=True, check=True
    ).stdout
    return f"{drawn}<!-- article.dot sha256 {digest(source)} -->\n"


def demo_lines() -> list[str]:
    """What the demo writes to a terminal, with the codes of its colours. Blocks for half a minute.

    Raises:
        subprocess.CalledProcessError: it ended with another exit code than 0.
    """
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "consumer", "demo"]
    with subprocess.Popen(command, stdout=its, stderr=its, env=environment) as demo:
        os.close(its)
        written = bytearray()
        while chunk := _read(ours):
            written += chunk
    os.close(ours)
    if demo.returncode:
        raise subprocess.CalledProcessError(demo.returncode, command, written.decode())
    return written.decode().replace("\r", "").splitlines()


def demo_svg(lines: list[str]) -> str:
    """The picture of a terminal that shows some of these lines."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    shown = True
    for line in map(Text.from_ansi, lines):
        before, article = shown, ARTICLE.match(line.plain)
        if article:
            shown = article[1].startswith(SHOWN)
        shown = shown or END.match(line.plain) is not None
        if shown:
            if not before:
                console.print(Text("...", style="dim"))
            console.print(line, soft_wrap=True)
    drawn = console.export_svg(title="make demo", theme=THEME, unique_id="demo")
    # Rich names fonts at an address; a picture of ours asks nobody for anything.
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


def main() -> None:
    """Write both pictures."""
    source = (FOLDER / "article.dot").read_text(encoding="utf-8")
    (FOLDER / "article.svg").write_text(article_svg(source), encoding="utf-8")
    (FOLDER / "demo.svg").write_text(demo_svg(demo_lines()), encoding="utf-8")


def _read(descriptor: int) -> bytes:
    """What can be read, or nothing when the other end is closed."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


if __name__ == "__main__":
    main()
