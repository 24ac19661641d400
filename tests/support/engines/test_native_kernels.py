"""That what watches our C sees what it is there for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hatch_build import LIBRARIES
from tests.support.engines import native_kernels
from tests.support.engines.native_kernels import (
    HARNESSES,
    SOURCES,
    Watch,
    needs_compiler,
    run_watched,
    write_markup,
)


def test_every_source_has_a_harness() -> None:
    harnesses = {path.stem for path in HARNESSES.glob("*.c")}
    assert harnesses == set(SOURCES)
    assert len(SOURCES) == sum(len(library.sources) for library in LIBRARIES)


@needs_compiler
def test_a_warning_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(tmp_path, monkeypatch, "", "static int unused;\n")
    with pytest.raises(AssertionError, match="unused"):
        watched(tmp_path, Watch.SANITIZERS)


@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # Writes one byte behind its memory, reads one, and shifts further than a number is wide.
        ("return (ptrdiff_t)out;", "text[2 * size] = 0; return (ptrdiff_t)out;"),
        ("return (ptrdiff_t)out;", "return source[size] == 7 ? NOT_READ : (ptrdiff_t)out;"),
        ("size_t at = 0, out = 0;", "size_t at = 0, out = (1 << (32 + (int)(size & 1))) & 0;"),
    ],
)
def test_the_sanitizers_see_it(
    right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(tmp_path, monkeypatch, right, wrong)
    with pytest.raises(AssertionError, match=r"Sanitizer|runtime error"):
        watched(tmp_path, Watch.SANITIZERS)


@needs_compiler
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_valgrind_sees_what_was_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "return size && text[2 * size - 1] == 7 ? NOT_READ : (ptrdiff_t)out;"
    spoil(tmp_path, monkeypatch, "return (ptrdiff_t)out;", wrong)
    with pytest.raises(AssertionError, match="uninitialised"):
        watched(tmp_path, Watch.VALGRIND)


def spoil(folder: Path, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    """Put a fault into the scanner of mark-up; at its end where nothing is replaced."""
    text = SOURCES["markup"].read_text(encoding="utf-8")
    assert right in text
    spoiled = folder / "markup.c"
    spoiled.write_text(text.replace(right, wrong) if right else text + wrong, encoding="utf-8")
    monkeypatch.setitem(native_kernels.SOURCES, "markup", spoiled)


def watched(folder: Path, watch: Watch) -> str:
    texts = folder / "texts"
    write_markup(texts, 50)
    return run_watched("markup", folder, str(texts), watch=watch)
