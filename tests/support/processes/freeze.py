"""Has a process stand still, as on a machine that stands still."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

#: Longest wait until it stands.
_PATIENCE_S = 60.0


def freeze(pid: int) -> None:
    """SIGSTOP; returns once no thread of the process runs any more. SIGCONT lets it go on.

    A thread takes the signal when it next gets a processor. Where others have it, a process goes on
    for a moment, and may still answer what it is asked right after the signal.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _PATIENCE_S
    while not stands(pid):
        assert time.monotonic() < deadline, f"the process {pid} does not stand still"
        time.sleep(0.005)


def stands(pid: int) -> bool:
    """Whether every thread of a process is stopped."""
    threads = Path(f"/proc/{pid}/task")
    if not threads.is_dir():
        # Not Linux: that of the process is the only state that is told.
        asked = ["ps", "-o", "state=", "-p", str(pid)]
        return subprocess.run(asked, capture_output=True, check=True).stdout.startswith(b"T")
    return all(_state(thread) in "Tt" for thread in threads.iterdir())


def _state(thread: Path) -> str:
    try:
        # The name before it stands in brackets, and may hold any.
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "T"  # it has ended meanwhile
