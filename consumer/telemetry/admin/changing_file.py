"""ChangingFile: what was made of files, made anew when these have changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from consumer.contracts.errors import SettingsError

log = logging.getLogger(__name__)

#: Seconds between two looks at the files.
LOOK_S = 10.0

_Made = TypeVar("_Made")
_State = tuple[tuple[int, int, int], ...]


class ChangingFile(Generic[_Made]):
    """Makes something of files, as a certificate or a list of credentials, which are renewed.

    Kubernetes swaps a link, others write in place or rename; all of it changes the file's number,
    size or time. Where the new files cannot be used, what there was stays in use, the log says so
    once, and each look tries again: a certificate and its key are written one after the other.

    Args:
        files: what it is made of.
        make: makes it; raises `SettingsError` where the files are no good.
        now: seconds of a monotonic clock.

    Raises:
        SettingsError: it cannot be made at the start.
    """

    def __init__(self, files: Sequence[Path], make: Callable[[], _Made], now: float) -> None:
        self._files = tuple(files)
        self._make = make
        self._state = self._look()
        self._made = make()
        self._looked_at = now
        self._refused: _State | None = None

    def value(self, now: float) -> _Made:
        """What the files hold, as of at most `LOOK_S` ago."""
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            state = self._look()
            if state != self._state:
                self._renew(state)
        return self._made

    def _renew(self, state: _State) -> None:
        names = ", ".join(map(str, self._files))
        try:
            self._made = self._make()
        except SettingsError as error:
            if state != self._refused:
                log.error("%s changed and cannot be used; the old one stays: %s", names, error)
            self._refused = state
            return
        self._state = state
        self._refused = None
        log.info("%s changed and is in use", names)

    def _look(self) -> _State:
        found = []
        for file in self._files:
            try:
                stat = file.stat()
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)
