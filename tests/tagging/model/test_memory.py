"""What memory there is, by what the system says of the machine and of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumer.tagging.model.memory import free_host_memory

GIB = 2**30
MEMINFO = f"MemTotal: {16 * 2**20} kB\nMemFree: 100 kB\nMemAvailable: {8 * 2**20} kB\n"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A machine with 8 GiB available, in no group with a limit."""
    write(tmp_path / "proc/meminfo", MEMINFO)
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    (tmp_path / "groups").mkdir()
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def free(system: Path) -> int | None:
    return free_host_memory(system / "proc", system / "groups")


def limit(folder: Path, most: str, used: int, inactive: int = 0) -> None:
    write(folder / "memory.max", f"{most}\n")
    write(folder / "memory.current", f"{used}\n")
    write(folder / "memory.stat", f"anon 5\ninactive_file {inactive}\nactive_file 7\n")


def test_without_a_limit_it_is_what_the_machine_has_available(system: Path) -> None:
    assert free(system) == 8 * GIB
    limit(system / "groups", "max", 5)
    assert free(system) == 8 * GIB


def test_in_a_container_its_limit_counts_and_the_page_cache_is_free(system: Path) -> None:
    limit(system / "groups", str(4 * GIB), 3 * GIB, inactive=GIB)
    assert free(system) == 2 * GIB


def test_the_narrowest_of_the_groups_around_a_process_counts(system: Path) -> None:
    write(system / "proc/self/cgroup", "0::/kubepods/pod1/worker\n")
    limit(system / "groups/kubepods/pod1/worker", "max", GIB)
    limit(system / "groups/kubepods/pod1", str(3 * GIB), GIB)
    limit(system / "groups/kubepods", str(12 * GIB), GIB)
    assert free(system) == 2 * GIB


def test_a_group_whose_name_is_from_outside_the_container_is_the_mounted_one(
    system: Path,
) -> None:
    write(system / "proc/self/cgroup", "0::/../../docker/abc\n")
    limit(system / "groups", str(4 * GIB), GIB)
    assert free(system) == 3 * GIB


def test_the_first_version_of_control_groups(system: Path) -> None:
    write(system / "proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/docker/abc\n0::/\n")
    folder = system / "groups/memory/docker/abc"
    write(folder / "memory.limit_in_bytes", f"{2 * GIB}\n")
    write(folder / "memory.usage_in_bytes", f"{GIB}\n")
    write(folder / "memory.stat", f"inactive_file 3\ntotal_inactive_file {GIB // 2}\n")
    write(system / "groups/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(system / "groups/memory/memory.usage_in_bytes", "1\n")
    assert free(system) == GIB + GIB // 2


def test_what_is_over_its_limit_has_nothing_left(system: Path) -> None:
    limit(system / "groups", str(GIB), 2 * GIB)
    assert free(system) == 0


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert free(tmp_path) is None
    write(tmp_path / "proc/meminfo", MEMINFO)
    assert free(tmp_path) == 8 * GIB


def test_this_machine() -> None:
    found = free_host_memory()
    assert found is None or 0 <= found < 2**50
