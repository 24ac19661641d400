"""What memory there is for models: on a GPU, or here, as far as control groups let."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

#: Where Linux tells of memory and of control groups.
_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")


def free_memory(device: torch.device) -> int | None:
    """Bytes that a process could take now on a device; None where the system does not tell.

    On a CPU that is what the machine has available, or less where a control group of this process,
    such as a container's, has a limit. What the page cache holds of it counts as free.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    return free_host_memory()


def free_host_memory(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """See `free_memory`.

    Args:
        proc, groups: where the system tells.
    """
    return min(_free(proc, groups), default=None)


def _free(proc: Path, groups: Path) -> Iterator[int]:
    available = _table(proc / "meminfo").get("MemAvailable:")
    if available is not None:
        yield available * 1024
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            yield from _below_limits(groups, name, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            yield from _below_limits(
                groups / "memory",
                name,
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )


def _below_limits(root: Path, name: str, limit: str, usage: str, reclaimable: str) -> Iterator[int]:
    """What is left below the limit of a group and of each that it is in.

    In a container its own group may be mounted as the root, whatever name the process knows it by.
    """
    own = root / name.strip("/")
    inside = [own, *own.parents]
    for folder in [one for one in inside if one == root or root in one.parents]:
        most, used = _number(folder / limit), _number(folder / usage)
        if most is not None and used is not None:
            yield max(0, most - used + _table(folder / "memory.stat").get(reclaimable, 0))


def _number(path: Path) -> int | None:
    """What a file of one number says; None where there is none, or it says `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _table(path: Path) -> dict[str, int]:
    """What a file of lines `name number` says."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    parts = [line.split() for line in lines]
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdigit()}
