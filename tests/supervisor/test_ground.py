"""What there is for workers: cores and memory, inside a container too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consumer.supervisor.ground import cores, free_memory_bytes


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("", None), ("x y z", None)],
)
def test_cores_are_bounded_by_the_quota_of_the_container(
    tmp_path: Path, quota: str, expected: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    allowed = len(os.sched_getaffinity(0))
    assert cores(tmp_path) == (allowed if expected is None else min(allowed, expected))
    assert cores(tmp_path / "none") == allowed


def test_memory_is_that_of_the_machine_and_of_the_container(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  8 kB\nMemFree:  1 kB\nMemAvailable:   4000 kB\n")
    assert free_memory_bytes(tmp_path, meminfo) == 4_000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    assert free_memory_bytes(tmp_path, meminfo) == 600_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory_bytes(tmp_path, meminfo) == 4_000 * 1024
    assert free_memory_bytes(tmp_path / "none", tmp_path / "neither") is None
