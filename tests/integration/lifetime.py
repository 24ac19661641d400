"""Processes that must not outlive the tests, however these end."""

from __future__ import annotations

import shutil
from collections.abc import Sequence


def tied(command: Sequence[str]) -> list[str]:
    """The command, so that the kernel kills it when the process that started it is gone.

    Linux can do that, by util-linux; elsewhere a test run that is killed leaves its servers.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else [*command]
