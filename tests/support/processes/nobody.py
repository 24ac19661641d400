"""Runs a command as a container would: as nobody, without capabilities, on a read-only root.

It takes root and Linux' `unshare`, `setpriv` and `mount`; nothing outside the process sees it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

#: The user of that name.
NOBODY = 65_534

_SCRIPT = """
set -e
mount --make-rprivate /
# A home that is its owner's alone may hold the interpreter; here it is a folder with no more in it.
if [ -n "{home}" ]; then
  mount -t tmpfs tmpfs /mnt
  mkdir /mnt/held
  mount --bind {base} /mnt/held
  mount -t tmpfs -o mode=755 tmpfs {home}
  mkdir -p {base}
  mount --bind /mnt/held {base}
  umount /mnt/held
  umount /mnt
fi
mount -o remount,ro,bind /
mount -t tmpfs -o mode={tmp_mode} tmpfs /tmp
test -z "{home}" || mount -o remount,ro,bind {base}
cd /
exec setpriv --reuid={nobody} --regid={nobody} --clear-groups --bounding-set=-all --inh-caps=-all \\
  --no-new-privs -- "$@"
"""


def run_as_nobody(
    command: Sequence[str], variables: Mapping[str, str], *, tmp_mode: str = "1777"
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with these variables and a few that every process has.

    Args:
        tmp_mode: of `/tmp`, which is empty and the one place that may be written.
    """
    base = sys.base_prefix
    script = _SCRIPT.format(
        home=shlex.quote(_closed_home(base)) if _closed_home(base) else "",
        base=shlex.quote(base),
        nobody=NOBODY,
        tmp_mode=tmp_mode,
    )
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={"HOME": "/tmp", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
        | dict(variables),
    )


@cache
def why_not() -> str:
    """Why this machine cannot do it; empty where it can."""
    if os.geteuid() != 0:
        return "to become nobody takes root"
    missing = [tool for tool in ("unshare", "setpriv", "mount") if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is not installed"
    done = run_as_nobody([sys.executable, "-c", "import consumer"], {})
    return "" if done.returncode == 0 else f"unshare or setpriv: {done.stderr.strip()[-200:]}"


def _closed_home(base: str) -> str:
    """The folder at the top of the tree that holds the interpreter, if others may not enter it."""
    top = Path("/", *Path(base).parts[1:2])
    return "" if top.stat().st_mode & 0o001 else str(top)
