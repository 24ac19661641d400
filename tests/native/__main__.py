"""Our C under every watch that there is: `make sanitize`.

Its harnesses by the compiler's sanitizers and by valgrind, at the optimisation of an installation
too; then the Python tests of what is compiled, on libraries with the sanitizers in them. Ends with
1 where one of them sees something.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hatch_build import FLAGS, NativeLibraries
from tests.faults.process_figures import machine
from tests.faults.run_record import RunRecord
from tests.support.deploy_files import ROOT
from tests.support.native_kernels import SOURCES, Watch, run_watched, write_markup

#: Pieces of mark-up that are read, by who watches.
_PIECES = {Watch.SANITIZERS: 1_000_000, Watch.VALGRIND: 50_000}

#: The tests that call what is compiled.
_TESTS = ("tests/tagging/engine/cpu", "tests/codec/text")

_OPTIMIZATIONS = ("-O1", next(flag for flag in FLAGS if flag.startswith("-O")))

_WATCHED_COMPILER = (
    "cc -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
)


def harness(name: str, watch: Watch, optimization: str) -> str:
    """What is said of one harness."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = []
        if name == "markup":
            texts = Path(folder, "texts")
            write_markup(texts, _PIECES[watch])
            arguments = [str(texts)]
        return run_watched(
            name, Path(folder), *arguments, watch=watch, optimization=optimization
        ).strip()


def python_tests() -> str:
    """What is said of the tests, on libraries with the sanitizers in them, in a tree of its own."""
    preload = subprocess.run(
        ["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        shutil.copytree(
            ROOT,
            tree,
            ignore=shutil.ignore_patterns(
                ".*", "__pycache__", "docs", "benchmarks", "build", "*.so"
            ),
        )
        _build_watched(tree)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_TESTS],
            cwd=tree,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env={
                **os.environ,
                "LD_PRELOAD": preload,
                "ASAN_OPTIONS": "detect_leaks=0",
                "PYTHONMALLOC": "malloc",  # so that each block of Python's is watched too
            },
        )
    last = (done.stdout.strip().splitlines() or [""])[-1]
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-6_000:]
    assert re.search(r"\d+ passed", last), last
    return re.sub(r" in [\d.]+s.*", "", last).strip("= ")


def _build_watched(tree: Path) -> None:
    class Screen:
        def display_warning(self, message: str) -> None:
            raise AssertionError(message)

    before = os.environ.get("CC")
    os.environ["CC"] = _WATCHED_COMPILER
    try:
        hook: Any = NativeLibraries(str(tree), {}, None, None, str(tree), "wheel", Screen())  # type: ignore[arg-type]
        hook.initialize("standard", {"artifacts": [], "pure_python": True})
    finally:
        if before is None:
            del os.environ["CC"]
        else:
            os.environ["CC"] = before


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code is 1 where something was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.native", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the result there")
    asked = parser.parse_args(arguments)
    missing = [name for name in ("cc", "valgrind") if shutil.which(name) is None]
    if missing:
        parser.error(f"needs {' and '.join(missing)}: apt-get install gcc libc6-dev valgrind")
    steps: dict[str, Callable[[], str]] = {}
    for name in SOURCES:
        for watch in Watch:
            for optimization in _OPTIMIZATIONS:

                def step(
                    name: str = name, watch: Watch = watch, optimization: str = optimization
                ) -> str:
                    return harness(name, watch, optimization)

                steps[f"`{name}.c`, {watch}, {optimization}"] = step
    steps["Python tests on libraries with the sanitizers"] = python_tests
    figures, is_good = {}, True
    for title, look in steps.items():
        begun = time.monotonic()
        try:
            figures[title] = f"{look()}, nothing seen"
        except AssertionError as seen:
            is_good = False
            figures[title] = "SEEN"
            print(f"{title}:\n{seen}", file=sys.stderr)
        print(f"{title}: {figures[title]} ({time.monotonic() - begun:.0f} s)", flush=True)
    record = RunRecord(
        title="Our C under watch",
        told=(
            "Written by `make sanitize`: the C that an installation compiles, with blocks of "
            "memory of exactly the size that it may touch, under AddressSanitizer and "
            "UndefinedBehaviorSanitizer and under valgrind's memcheck, without and with the "
            "optimisation of an installation; then the tests that call it from Python. Compiled "
            "without a warning (`tests/support/native_kernels.py` lists which are asked for)."
        ),
        figures={
            **figures,
            "machine": machine(),
            "compiler": _version("cc"),
            "valgrind": _version("valgrind"),
        },
    )
    if asked.record is not None and is_good:
        record.write(asked.record)
    return 0 if is_good else 1


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
