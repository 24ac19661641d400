"""Our C under every watch that there is: `make sanitize`.

Its harnesses by the compiler's sanitizers and by valgrind, at the optimisation of an installation
too; and the tests in Python that call it, with libraries under the sanitizers. Ends with 1 where
one of them sees something.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hatch_build import FLAGS, LIBRARIES
from tests.faults.long_runs.process_figures import machine
from tests.faults.long_runs.run_record import RunRecord
from tests.support.deploy.deploy_files import ROOT
from tests.support.engines.native_kernels import (
    SANITIZED,
    SOURCES,
    Watch,
    run_watched,
    write_markup,
)

#: Pieces of mark-up that are read, by who watches.
_PIECES = {Watch.SANITIZERS: 1_000_000, Watch.VALGRIND: 50_000}

_OPTIMIZATIONS = ("-O1", next(flag for flag in FLAGS if flag.startswith("-O")))

#: The tests in Python whose calls of our C are watched.
_CALLERS = ("tests/codec/text", "tests/tagging/engine/cpu")

#: What cannot be under AddressSanitizer, which takes terabytes of addresses and has a memory
#: allocator of its own: models whose tokenizer is tried with a bound on its addresses, and what is
#: asked of glibc's allocator.
_NOT_THERE = "not bert-case-marks and not asked_to_keep_memory"


def callers() -> str:
    """What the tests in Python say that call our C, with libraries under the sanitizers."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        copy.mkdir()
        for entry in ROOT.iterdir():
            if entry.name in ("consumer", "tests"):
                without = shutil.ignore_patterns("__pycache__")
                shutil.copytree(entry, copy / entry.name, ignore=without)
            elif entry.name != ".git":
                (copy / entry.name).symlink_to(entry)
        for library in LIBRARIES:
            sources = [copy / source for source in library.source_paths]
            command: list[str | Path] = ["cc", *FLAGS, "-g", *SANITIZED, "-o"]
            command += [copy / library.path, *sources]
            subprocess.run(command, check=True, capture_output=True)
        run_times = [
            subprocess.run(
                ["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
            ).stdout.strip()
            for name in ("libasan.so", "libubsan.so")
        ]
        asked = ["-q", "-p", "no:cacheprovider", "--basetemp", f"{folder}/tests", "-k", _NOT_THERE]
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *asked, *_CALLERS],
            cwd=copy,
            env={
                **os.environ,
                "LD_PRELOAD": " ".join(run_times),
                # pytest keeps what goes to standard error, and has no time to tell it.
                "ASAN_OPTIONS": f"detect_leaks=0:log_path={folder}/seen",
                "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={folder}/seen",
                # Each object in a block of its own, whose edges are watched.
                "PYTHONMALLOC": "malloc",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        seen = "\n".join(path.read_text() for path in Path(folder).glob("seen*"))
        assert ran.returncode == 0, f"{ran.stdout[-5_000:]}{ran.stderr[-5_000:]}{seen}"
        return ran.stdout.splitlines()[-1].partition(" in ")[0]


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
    steps["Python's tests of them, sanitizers"] = callers
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
            "optimisation of an installation; and the tests in Python that call it. Compiled "
            "without a warning (`tests/support/engines/native_kernels.py` lists which are asked "
            "for)."
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
