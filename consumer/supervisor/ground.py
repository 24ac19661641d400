"""What the workers of one supervisor have: cores, memory, partitions. Linux."""

from __future__ import annotations

import math
import os
from pathlib import Path

from consumer.kafka.tools.partitions import input_partitions
from consumer.settings.schema import Settings
from consumer.supervisor.plan import Ground

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def ground_of(settings: Settings, device: str) -> Ground:
    """What there is for workers on this kind of device. Blocks for seconds where no broker
    answers."""
    return Ground(device, cores(), free_memory_bytes(), input_partitions(settings))


def cores(cgroup: Path = _CGROUP) -> int:
    """Cores that this process may use: by its affinity, and by the quota of its container."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(period):
        allowed = min(allowed, math.ceil(int(quota) / int(period)))
    return max(1, allowed)


def free_memory_bytes(cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO) -> int | None:
    """Memory that can be had: of the machine, and under the limit of its container; None where
    neither is known."""
    known = []
    for line in _read(meminfo).splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            known.append(int(rest.split()[0]) * 1024)
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    if limit.isdecimal() and used.isdecimal():
        known.append(max(0, int(limit) - int(used)))
    return min(known) if known else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
