"""Our C: who can have it, and a program that watches what it touches."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from consumer.tagging.engine.cpu.native_attention import load_kernel

has_compiler = platform.machine() == "x86_64" and shutil.which("cc") is not None
needs_compiler = pytest.mark.skipif(not has_compiler, reason="needs a C compiler on x86-64")

takes_heads = (_found := load_kernel()) is not None and _found.takes(32)
needs_kernel = pytest.mark.skipif(
    not takes_heads, reason="needs AVX2 and a C compiler at installation"
)


def run_watched(source: Path, harness: str, folder: Path) -> str:
    """What a program says that includes a source, run under the compiler's own watch over
    addresses and undefined behaviour; no warnings either."""
    program, built = folder / "harness.c", folder / "harness"
    program.write_text(f'#include "{source}"\n{harness}', encoding="utf-8")
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-lm"]
    watch = "-fsanitize=address,undefined"
    compiled = subprocess.run(
        ["cc", str(program), "-o", str(built), *flags, watch, "-fno-sanitize-recover=all"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "asan" in compiled.stderr and "cannot find" in compiled.stderr:
        pytest.skip("needs the compiler's sanitizers")
    assert compiled.returncode == 0, compiled.stderr
    ran = subprocess.run(
        [str(built)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
