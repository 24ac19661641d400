"""Articles from a file that an argument names."""

from __future__ import annotations

import codecs
from pathlib import Path

from consumer.contracts.errors import SettingsError


def json_lines_of(path: Path, argument: str) -> list[bytes]:
    """The lines of a file of JSON lines that are not blank.

    Args:
        argument: what named the file, for the error.

    Raises:
        SettingsError: it cannot be read, or is empty.
    """
    try:
        # A byte order mark belongs to the file, not to its first line.
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        lines = [line for line in content.splitlines() if line.strip()]
    except OSError as failure:
        raise SettingsError(argument, f"{failure}", "name a file of JSON lines") from failure
    if not lines:
        raise SettingsError(argument, f"{path} has no lines", "name a file of JSON lines")
    return lines
