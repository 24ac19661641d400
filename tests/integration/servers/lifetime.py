"""Processes that must not outlive the tests, however these end."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: The kernel kills the processes when the thread that started them ends, and not when the whole
#: process does; this one lives to the end.
_SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="spawner")


def spawn(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """`subprocess.Popen` of a process that the kernel kills when this one is gone. Any thread.

    Linux can do that, by util-linux; elsewhere a test run that is killed leaves its servers.
    """
    setpriv = shutil.which("setpriv")
    tied = [setpriv, "--pdeathsig", "KILL", *command] if setpriv else [*command]
    return _SPAWNER.submit(_started, tied, **options).result()


def _started(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    process: subprocess.Popen[bytes] = subprocess.Popen(command, **options)
    return process
