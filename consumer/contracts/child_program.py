"""Starts a program of ours in an interpreter of its own, with a pipe to it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.connection import Connection


def start_program(program: str, name: str) -> tuple[subprocess.Popen[bytes], Connection]:
    """The process, and this end of its pipe; the process ends when that is closed.

    A new interpreter: a copy of this one would have its locks, and a device's context.

    Args:
        program: Python. The last argument that it finds is the number of its end of the pipe.
            multiprocessing's own would first import the main module of this process and all that
            it imports, torch too.
        name: for whoever lists processes.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = multiprocessing.Pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", program, name, str(theirs.fileno())],
            # It gets its own end alone: holding another's, it would keep that pipe open.
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # It finds what this process finds.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        )
    except OSError:
        ours.close()
        raise
    finally:
        # With the other end open here too, this one would never see the process end.
        theirs.close()
    return process, ours
