"""Our own kernels at installation: compiled where it can be, and done without where not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from consumer.tagging.engine.cpu.native_attention import Kernel
from consumer.tagging.engine.cpu.native_layer import LayerKernel
from hatch_build import FOLDER, LIBRARY, SOURCES, NativeKernels
from tests.support.deploy_files import ROOT
from tests.support.native_kernels import needs_compiler


class Screen:
    """What the person who installs it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with the library of an earlier installation."""
    shutil.copytree(ROOT / FOLDER, tmp_path / FOLDER)
    (tmp_path / LIBRARY).write_bytes(b"of before")
    return tmp_path


def build(tree: Path) -> tuple[dict[str, Any], list[str]]:
    screen = Screen()
    hook: Any = NativeKernels(str(tree), {}, None, None, str(tree), "wheel", screen)  # type: ignore[arg-type]
    data: dict[str, Any] = {"artifacts": [], "pure_python": True}
    hook.initialize("standard", data)
    expected = {"attention.c", "layer.c", "kernels.h"}
    expected |= {"kernels.so"} if data["artifacts"] else set()
    assert {file.name for file in (tree / FOLDER).iterdir()} == expected
    return data, screen.warnings


@needs_compiler
def test_a_compiler_makes_a_library_for_any_python_of_this_platform(tree: Path) -> None:
    data, warnings = build(tree)
    assert warnings == []
    assert data["artifacts"] == [LIBRARY]
    assert data["pure_python"] is False
    assert data["tag"] == "py3-none-linux_x86_64"
    Kernel(tree / LIBRARY)
    LayerKernel(tree / LIBRARY)


@needs_compiler
@pytest.mark.parametrize("compiler", ["no-such-compiler", "false", "cc --no-such-option"])
def test_a_compiler_that_fails_leaves_a_whole_package_without_it(
    tree: Path, monkeypatch: pytest.MonkeyPatch, compiler: str
) -> None:
    monkeypatch.setenv("CC", compiler)
    data, (warning,) = build(tree)
    assert data == {"artifacts": [], "pure_python": True}
    assert warning.startswith("the kernels of its own were left out: ")
    assert len(warning) > len("the kernels of its own were left out: ")


@needs_compiler
@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_does_not_compile_says_so(tree: Path, source: str) -> None:
    (tree / source).write_text("int main(", encoding="utf-8")
    data, (warning,) = build(tree)
    assert data["artifacts"] == []
    assert "error" in warning


def test_without_a_compiler_it_is_said(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    data, warnings = build(tree)
    assert data == {"artifacts": [], "pure_python": True}
    assert warnings == [
        "no C compiler: on a CPU the model will be computed by torch alone, more slowly"
    ]


def test_another_processor_is_passed_over(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert build(tree) == ({"artifacts": [], "pure_python": True}, [])
