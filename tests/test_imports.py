"""Nothing imports from a test module: what tests share stands in `tests/support`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imported(source: str) -> Iterator[str]:
    """Every name that is imported, with its module: `tests.support.fakes.raw`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def from_test_modules(source: str) -> list[str]:
    """What comes from a test module."""
    return [
        name
        for name in imported(source)
        if name.startswith("tests.") and any(p.startswith("test_") for p in name.split("."))
    ]


@pytest.mark.parametrize(
    "line",
    [
        "from tests.faults.test_fuzz import sorts",
        "from tests.faults import test_fuzz",
        "import tests.faults.test_fuzz as fuzz",
        "def late():\n    from tests.test_cli import nerstream",
    ],
)
def test_every_way_of_importing_is_seen(line: str) -> None:
    assert len(from_test_modules(line)) == 1


def test_nothing_imports_from_a_test_module() -> None:
    files = [
        file
        for room in ("tests", "benchmarks", "consumer")
        for file in ROOT.glob(f"{room}/**/*.py")
    ]
    found = {
        str(file.relative_to(ROOT)): names
        for file in files
        if (names := from_test_modules(file.read_text("utf-8")))
    }
    assert len(files) > 300
    assert found == {}
