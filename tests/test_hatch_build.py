"""Our own C at installation: compiled where it can be, and done without where not."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from consumer.codec.text.native_markup import NativeScanner
from consumer.tagging.engine.cpu.layers.native_layer import LayerKernel
from consumer.tagging.engine.cpu.native_attention import Kernel
from hatch_build import KERNELS, LIBRARIES, MARKUP, Library, NativeLibraries
from tests.support.deploy.deploy_files import ROOT
from tests.support.engines.native_kernels import needs_compiler

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="nothing is compiled elsewhere"
)


class Screen:
    """What the person who installs it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with the libraries of an earlier installation."""
    for library in LIBRARIES:
        shutil.copytree(ROOT / library.folder, tmp_path / library.folder)
        (tmp_path / library.path).write_bytes(b"of before")
    return tmp_path


def build(tree: Path) -> tuple[dict[str, Any], list[str]]:
    before = _sources(tree)
    screen = Screen()
    hook: Any = NativeLibraries(str(tree), {}, None, None, str(tree), "wheel", screen)  # type: ignore[arg-type]
    data: dict[str, Any] = {"artifacts": [], "pure_python": True}
    hook.initialize("standard", data)
    made = {path for library in LIBRARIES if (tree / (path := library.path)).exists()}
    assert made == set(data["artifacts"])
    # Nothing of a compilation is left, whether it failed or not.
    assert _sources(tree) == before
    return data, screen.warnings


def _sources(tree: Path) -> set[Path]:
    return {file for file in tree.rglob("*") if file.suffix != ".so"}


@needs_compiler
def test_a_compiler_makes_libraries_for_any_python_of_this_platform(tree: Path) -> None:
    data, warnings = build(tree)
    assert warnings == []
    assert data["artifacts"] == [KERNELS.path, MARKUP.path]
    assert data["pure_python"] is False
    assert data["tag"] == "py3-none-linux_x86_64"
    Kernel(tree / KERNELS.path)
    LayerKernel(tree / KERNELS.path)
    assert NativeScanner(tree / MARKUP.path).text("A<br>B") == "A\nB"


@needs_compiler
@pytest.mark.parametrize("compiler", ["no-such-compiler", "false", "cc --no-such-option"])
def test_a_compiler_that_fails_leaves_a_whole_package_without_them(
    tree: Path, monkeypatch: pytest.MonkeyPatch, compiler: str
) -> None:
    monkeypatch.setenv("CC", compiler)
    data, warnings = build(tree)
    assert data == {"artifacts": [], "pure_python": True}
    for library, warning in zip(LIBRARIES, warnings, strict=True):
        beginning = f"{library.name} was left out, {library.without}: "
        assert warning.startswith(beginning)
        assert len(warning) > len(beginning)


@needs_compiler
@pytest.mark.parametrize(
    ("library", "source"),
    [(library, source) for library in LIBRARIES for source in library.source_paths],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_source_that_does_not_compile_says_so(tree: Path, library: Library, source: str) -> None:
    (tree / source).write_text("int main(", encoding="utf-8")
    data, (warning,) = build(tree)
    assert data["artifacts"] == [one.path for one in LIBRARIES if one is not library]
    assert warning.startswith(f"{library.name} was left out")
    assert "error" in warning


def test_without_a_compiler_it_is_said(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    data, warnings = build(tree)
    assert data == {"artifacts": [], "pure_python": True}
    assert warnings == [
        "no C compiler: on a CPU the model will be computed by torch alone, more slowly",
        "no C compiler: HTML will be read by Python, more slowly",
    ]


@needs_compiler
def test_kernels_of_another_processor_are_passed_over(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    data, warnings = build(tree)
    assert data["artifacts"] == [MARKUP.path]
    assert warnings == []
