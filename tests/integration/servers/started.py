"""Waiting for a server that a test has started, and that answers by HTTP once it is ready."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from pathlib import Path


def wait_until_it_answers(
    what: str, process: subprocess.Popen[bytes], url: str, log: Path, timeout_s: float
) -> None:
    """Blocks until the address answers.

    Raises:
        RuntimeError: the process ended, or did not answer in time; with the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            pass
        end = log.read_text(errors="replace")[-4_000:]
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended:\n{end}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not start:\n{end}")
        time.sleep(0.05)
