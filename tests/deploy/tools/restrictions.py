"""What a process in a container or a service may do, as a bundle for an OCI runtime."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.deploy.deploy_files import DEPLOY

#: The filter of system calls that podman has; Docker's is the same but for a few names.
_PROFILE = Path("/usr/share/containers/seccomp.json")

_X86_64 = "SCMP_ARCH_X86_64"

#: Numbers of address families.
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Name for a person, the filter of system calls, and how /proc is mounted."""

    name: str
    seccomp: dict[str, Any]
    proc: list[str] = field(default_factory=lambda: ["nosuid", "noexec", "nodev"])


def container() -> Restrictions:
    """As an engine restricts a container that has no capabilities."""
    profile = json.loads(_PROFILE.read_text())
    rules = []
    for rule in profile["syscalls"]:
        wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
        arches = wanted.get("arches")
        if wanted.get("caps") or (arches and "amd64" not in arches):
            continue
        if "amd64" in unwanted.get("arches", ()):
            continue
        kept = ("names", "action", "args", "errnoRet")
        rules.append({name: rule[name] for name in kept if rule.get(name) is not None})
    known = {name: profile[name] for name in ("defaultAction", "defaultErrnoRet")}
    return Restrictions("as a container", {**known, "architectures": [_X86_64], "syscalls": rules})


def service() -> Restrictions:
    """As `deploy/systemd/nerstream@.service` restricts it, as far as a runtime can."""
    unit = (DEPLOY / "systemd/nerstream@.service").read_text("utf-8")
    allowed = _group("@default")
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        for name in line.removeprefix("~").split():
            allowed = allowed - _group(name) if line.startswith("~") else allowed | _group(name)
    (families,) = re.findall(r"^RestrictAddressFamilies=(.*)$", unit, re.MULTILINE)
    sockets = [
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": _FAMILIES[name], "op": "SCMP_CMP_EQ"}],
        }
        for name in families.split()
    ]
    rules = [{"names": sorted(allowed - {"socket"}), "action": "SCMP_ACT_ALLOW"}, *sockets]
    filtered = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1}
    assert "ProtectProc=invisible" in unit
    return Restrictions(
        "as a service of systemd",
        {**filtered, "architectures": [_X86_64], "syscalls": rules},
        ["nosuid", "noexec", "nodev", "hidepid=2"],
    )


def _group(name: str) -> set[str]:
    """The system calls of one of systemd's groups."""
    if not name.startswith("@"):
        return {name}
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name],
        capture_output=True,
        text=True,
        check=True,
    )
    words = [line.strip() for line in told.stdout.splitlines()[1:]]
    return {one for word in words if word and not word.startswith("#") for one in _group(word)}


def bundle(
    root: Path,
    *,
    user: str,
    cwd: str,
    words: Sequence[str],
    variables: Sequence[str],
    writable: Sequence[str],
    restricted: Restrictions,
) -> dict[str, Any]:
    """`config.json` of a container with the network of this machine and nothing else of it.

    Args:
        user: number of the user and of the group, with a colon between them.
        writable: folders in memory; in the first of them nothing may be executed.
    """
    uid, gid = map(int, user.split(":"))
    plain = ["nosuid", "nodev"]
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": restricted.proc},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
        {
            "destination": "/dev/shm",
            "type": "tmpfs",
            "source": "shm",
            "options": [*plain, "noexec"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*plain, "ro"]},
    ]
    for number, path in enumerate(writable):
        options = [*plain, *(["noexec"] if number == 0 else []), "mode=1777"]
        mounts.append({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": options})
    kinds = ("bounding", "effective", "permitted", "inheritable", "ambient")
    return {
        "ociVersion": "1.0.0",
        "root": {"path": str(root), "readonly": True},
        "process": {
            "user": {"uid": uid, "gid": gid},
            "cwd": cwd,
            "args": list(words),
            "env": list(variables),
            "capabilities": {kind: [] for kind in kinds},
            "noNewPrivileges": True,
        },
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "seccomp": restricted.seccomp,
            "maskedPaths": ["/proc/kcore", "/proc/keys"],
            "readonlyPaths": ["/proc/sys"],
        },
    }
