"""Our C under every watch that there is: `make sanitize`.

Its harnesses by the compiler's sanitizers and by valgrind, at the optimisation of an installation
too. Ends with 1 where one of them sees something.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hatch_build import FLAGS
from tests.faults.process_figures import machine
from tests.faults.run_record import RunRecord
from tests.support.native_kernels import SOURCES, Watch, run_watched, write_markup

#: Pieces of mark-up that are read, by who watches.
_PIECES = {Watch.SANITIZERS: 1_000_000, Watch.VALGRIND: 50_000}

_OPTIMIZATIONS = ("-O1", next(flag for flag in FLAGS if flag.startswith("-O")))


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
            "optimisation of an installation. Compiled without a warning "
            "(`tests/support/native_kernels.py` lists which are asked for)."
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
