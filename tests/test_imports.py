"""Nothing imports from a test module: what tests share stands in `tests/support`."""

from __future__ import annotations

import ast
import re
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


#: A module, or a name in one, as a command or a text names it.
_NAMED = re.compile(r"\b(?:tests|benchmarks)(?:\.[a-z_][a-z_0-9]*)+\b(?![(/*-])")


def is_there(name: str) -> bool:
    """Whether there is such a module, or a module with such a name in it."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if place.is_dir() or source.exists():
            rest = parts[count:]
            if place.is_dir() or not rest:
                return not rest
            text = source.read_text("utf-8")
            return re.search(rf"\b{rest[0]}\b", text) is not None
    return False


def test_a_module_that_a_text_names_is_there() -> None:
    """Those that a command starts, too, which no import finds out."""
    texts = [
        *(ROOT / name for name in ("Makefile", "pyproject.toml", "README.md", "CONTRIBUTING.md")),
        *ROOT.glob("docs/**/*.md"),
        *(file for room in ("tests", "benchmarks") for file in ROOT.glob(f"{room}/**/*.py")),
    ]
    named = {
        (str(file.relative_to(ROOT)), name)
        for file in texts
        if file != Path(__file__)
        for name in _NAMED.findall(file.read_text("utf-8"))
        if not name.endswith((".py", ".md", ".sh", ".toml", ".json"))
    }
    assert len(named) > 300
    assert [(file, name) for file, name in sorted(named) if not is_there(name)] == []


def test_a_module_that_is_gone_is_not_there() -> None:
    assert is_there("tests.test_imports.is_there")
    assert not is_there("tests.conftest.nobody_has_this_name")
    assert not is_there("tests.light_workers")
    assert not is_there("tests.faults.light_workers.main")


#: What is made on a machine and not kept in the repository.
_MADE = ("build",)


def paths_in(source: str) -> Iterator[str]:
    """Every path of the repository that a module spells out: `ROOT / "docs" / "notes"`."""

    def spelled(node: ast.expr) -> list[str] | None:
        if isinstance(node, ast.Name):
            return [] if node.id == "ROOT" else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            before = spelled(node.left)
            if before is not None and isinstance(node.right, ast.Constant):
                return [*before, str(node.right.value)]
        return None

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and (parts := spelled(node)):
            yield "/".join(parts)


def test_a_path_that_a_benchmark_or_a_test_spells_out_is_there() -> None:
    """A module that is moved may be found, and look for its files where it was."""
    files = [file for room in ("tests", "benchmarks") for file in ROOT.glob(f"{room}/**/*.py")]
    spelled = {
        (str(file.relative_to(ROOT)), path)
        for file in files
        for path in paths_in(file.read_text("utf-8"))
        if not path.startswith((".", *_MADE))
    }
    assert len(spelled) > 40
    assert [(file, path) for file, path in sorted(spelled) if not (ROOT / path).exists()] == []


def test_a_path_is_found_that_goes_on_behind_what_is_spelled_out() -> None:
    assert list(paths_in("RESULTS = ROOT / 'bench' / 'results' / name")) == [
        "bench/results",
        "bench",
    ]
