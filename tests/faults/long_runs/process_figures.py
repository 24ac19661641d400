"""What a process holds, as the kernel counts it in /proc."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at a process.

    Attributes:
        resident_bytes: memory that it holds now; peak_bytes: the most that it ever held.
        threads: those of its libraries too.
        descriptors: open files, sockets and pipes.
    """

    resident_bytes: int
    peak_bytes: int
    threads: int
    descriptors: int


def figures_of(pid: int) -> Figures | None:
    """The figures of a process; None once it is gone."""
    folder = Path("/proc", str(pid))
    try:
        status = dict(
            line.split(":", 1) for line in (folder / "status").read_text().splitlines() if line
        )
        descriptors = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return None
    if "VmRSS" not in status:  # it has ended and waits for its parent
        return None
    return Figures(
        resident_bytes=_bytes(status["VmRSS"]),
        peak_bytes=_bytes(status["VmHWM"]),
        threads=int(status["Threads"]),
        descriptors=descriptors,
    )


def machine() -> str:
    """This machine in a line: processor, cores, memory, system."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    processor = names[0] if names else platform.machine()
    return f"{processor}, {cores} cores, {memory:.0f} GiB, {platform.system()}"


def _bytes(field: str) -> int:
    number, unit = field.split()
    assert unit == "kB", field
    return int(number) * 1024
