"""A process that looks like `nerstream run`, as a container's first one does, and waits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def first_process(
    folder: Path, flags: Sequence[str], *, under: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """It runs until the end of the block, and reads no flag.

    Args:
        folder: where its program goes.
        flags: behind `nerstream run`.
        under: what starts it and stays, such as a shell.
    """
    program = folder / "nerstream"
    program.write_text("import sys; print('here', flush=True); sys.stdin.read()")
    process = subprocess.Popen(
        [*under, sys.executable, str(program), "run", *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"here\n"
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()
