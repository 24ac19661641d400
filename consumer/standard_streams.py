"""The three streams that a process is given: in any encoding, full, closed, or not there at all.

`take_standard_streams` puts readers and writers in their place that behave alike everywhere:

- Neither of the two that are written moves a terminal: what could is written as an escape
  (`SafeWriter`), but for line feeds, tabs, and the colours of those that escape for themselves.
- Standard output says in a sentence that it cannot be written (`OutputFailed`), a closed pipe apart
  (`PipeClosed`), and a character that its encoding lacks is written as an escape.
- Standard input says so too (`SettingsError`).
- Standard error never fails: what cannot be told there cannot be told anywhere.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TextIO

from consumer.contracts.errors import OutputFailed, SettingsError
from consumer.contracts.safe_streams import SafeWriter

_INPUT, _OUTPUT, _ERROR = range(3)

#: What a descriptor that was closed at the start refers to instead. No file opened later gets its
#: number, which a library would write into; reading the first and writing the second fails.
_STAND_INS = {_INPUT: os.O_WRONLY, _OUTPUT: os.O_RDONLY, _ERROR: os.O_WRONLY}


class PipeClosed(Exception):
    """The reader of standard output went away, which is nobody's error. Libraries (rich, argparse)
    have a way of their own with BrokenPipeError and OSError."""


def take_standard_streams() -> None:
    """Replace `sys.stdin`, `sys.stdout` and `sys.stderr` of this process."""
    for descriptor, flags in _STAND_INS.items():
        if not _is_open(descriptor):
            opened = os.open(os.devnull, flags)
            os.dup2(opened, descriptor)
            if opened != descriptor:
                os.close(opened)
    sys.stdin = io.TextIOWrapper(
        io.BufferedReader(GuardedInput(_INPUT, closefd=False)), errors="surrogateescape"
    )
    sys.stdout = _writer(_GuardedOutput(_OUTPUT, "wb", closefd=False), sys.stdout)
    sys.stderr = _writer(_GuardedError(_ERROR, "wb", closefd=False), sys.stderr, by_lines=True)


def discard_output() -> None:
    """Let what is left in the buffer of standard output go nowhere, now and at the end."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        return  # It is no file, as in a test, or already closed.


class GuardedInput(io.FileIO):
    """Standard input, or a copy of it."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            while (count := super().readinto(buffer)) is None:
                select.select([self], [], [])  # Another process made it non-blocking.
        except OSError as error:
            raise SettingsError(
                "standard input",
                f"it cannot be read ({_reason(error)})",
                "name a file, or give one with <",
            ) from error
        return count


class _GuardedOutput(io.FileIO):
    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            while (count := super().write(data)) is None:
                select.select([], [self], [])
        except BrokenPipeError as error:
            raise PipeClosed from error
        except OSError as error:
            raise OutputFailed(
                f"standard output cannot be written ({_reason(error)}); "
                "make room where it goes, or send it elsewhere with >"
            ) from error
        return count


class _GuardedError(io.FileIO):
    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            count = super().write(data)
        except OSError:
            return len(data)
        return len(data) if count is None else count


def _reason(error: OSError) -> str:
    return "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _writer(raw: io.FileIO, before: TextIO | None, by_lines: bool = False) -> io.TextIOWrapper:
    """Text as it was written before, but for characters that its encoding lacks."""
    if before is not None:
        # Unbuffered (`python -u`) is by lines here, which a reader cannot tell from it.
        by_lines = by_lines or bool(
            getattr(before, "line_buffering", False) or getattr(before, "write_through", False)
        )
    return SafeWriter(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=by_lines,
    )
