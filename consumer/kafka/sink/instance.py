"""Holds the name of this worker within its group for as long as it runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import IO
from urllib.parse import quote

from consumer.contracts.errors import KafkaProblem
from consumer.settings.schema import Settings

#: More workers of one group than any one host runs.
_MAX_SLOTS = 10_000

#: Stands between the group and the instance in a transactional id. It is rare in the names of
#: groups and escaped there. Brokers, their tools and the access rules of large providers give it no
#: meaning.
_SEPARATOR = "@"


def transactional_id(group_id: str, instance: str) -> str:
    """The transactional id of a worker; each pair of group and instance has its own.

    It begins with the group, in which the separator and `%` are escaped as in an address (`%40`,
    `%25`). So a prefix that ends in the separator matches this group alone.
    """
    group = group_id.replace("%", "%25").replace(_SEPARATOR, quote(_SEPARATOR, safe=""))
    return f"{group}{_SEPARATOR}{instance}"


class Instance:
    """A name that no other worker of the group has.

    Where `settings.instance` is empty the name is the host's, with the lowest number that is free
    on this host. A lock on a file holds the number, and the kernel releases it however the process
    ends. A worker that is started again after a SIGKILL so gets the same name, and with it the
    same transactional id. That fences the open transaction of its predecessor at once; otherwise
    readers would be blocked until its timeout.

    Args:
        settings: `instance` and `group_id`.
        folder: where the lock files are; a folder of this user's in the host's temporary one.

    Raises:
        KafkaProblem: no lock can be taken.
    """

    def __init__(self, settings: Settings, folder: Path | None = None) -> None:
        self._lock: IO[bytes] | None = None
        if settings.instance:
            self.name = settings.instance
            return
        where = folder or _own_folder(_shared_folder())
        stem = quote(settings.group_id, safe="")[:100]
        for number in range(_MAX_SLOTS):
            self._lock = _try_lock(where / f"{stem}-{number}.lock")
            if self._lock is not None:
                self.name = f"{socket.gethostname()}-{number}"
                return
        raise KafkaProblem(f"no free worker number in {where}; set instance to a name of its own")

    def release(self) -> None:
        """Let another worker have the name. The file stays: removing it would race."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _shared_folder() -> Path:
    """The host's temporary folder.

    Raises:
        KafkaProblem: none can be written.
    """
    try:
        return Path(tempfile.gettempdir())
    except OSError as failed:
        raise KafkaProblem(
            f"no place to hold a worker number ({failed.strerror}); set instance to a name of its "
            "own, or TMPDIR to a folder that the worker may write"
        ) from failed


def _own_folder(shared: Path) -> Path:
    """The folder of this user's in a place that others may write.

    They know its name, but whoever made it first cannot hold up a worker unseen: a folder that is
    not this user's own, or that others may write, is refused by name.

    Raises:
        KafkaProblem: see above; or it cannot be made.
    """
    folder = shared / f"nerstream-{os.getuid()}"
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as failed:
        raise KafkaProblem(
            f"cannot make {folder} to hold a worker number ({failed.strerror}); set instance to a "
            "name of its own, or TMPDIR to a folder that the worker may write"
        ) from failed
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_own or found.st_mode & 0o022:
        raise KafkaProblem(
            f"{folder}, which holds the numbers of this user's workers, belongs to somebody else "
            "or may be written by others; remove it, or set instance to a name of its own"
        )
    return folder


def _try_lock(path: Path) -> IO[bytes] | None:
    """The open, locked file, or None when another process holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as failed:
        raise KafkaProblem(
            f"cannot hold a worker number in {path.parent} ({failed.strerror}); set instance to a "
            "name of its own"
        ) from failed
    file = os.fdopen(descriptor, "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
