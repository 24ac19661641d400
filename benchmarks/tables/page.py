"""Tables of recorded runs in a Markdown page, each between `<!-- begin NAME -->` and an end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"

#: What stands in the place of a table whose runs are not there.
NOTHING = "No run is recorded yet."

#: Lines of a table, none where its runs are not there.
Table = Callable[[], list[str]]


def fill(page: str, tables: Mapping[str, Table]) -> str:
    """The page with these tables as the runs in `benchmarks/results` have them.

    Args:
        tables: by the names in their marks.
    """
    for name, table in tables.items():
        begin, end = (f"<!-- {mark} {name} -->" for mark in ("begin", "end"))
        text = "\n".join([begin, "", *(table() or [NOTHING]), "", end])
        marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        page = marked.sub(text.replace("\\", r"\\"), page)
    return page


def recorded(name: str) -> dict[str, Any] | None:
    """A recorded run, or None where there is none."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def verdict(found: float, goal: float) -> str:
    """What stands behind a figure that is below its goal."""
    return "" if found >= goal else ", not reached"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table; none without rows."""
    found = list(rows)
    lines = [head, ["---"] * len(head), *found] if found else []
    return ["| " + " | ".join(line) + " |" for line in lines]
