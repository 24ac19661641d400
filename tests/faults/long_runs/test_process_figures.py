"""The figures of a process are the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.faults.long_runs.process_figures import figures_of, machine

#: A process of its own: in this one threads of earlier tests may end just now, and memory that
#: they have freed would be used again, and not count.
_GROWS = """
import os, threading
print("small", flush=True)
input()
threading.Thread(target=threading.Event().wait, daemon=True).start()
ends = os.pipe()
memory = b"x" * (64 * 2**20)
print("grown", flush=True)
input()
"""


def test_a_thread_a_descriptor_and_memory_more_are_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"small\n"
        before = figures_of(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"grown\n"
        after = figures_of(process.pid)
        process.communicate(b"\n")
    assert before is not None
    assert after is not None
    assert after.threads == before.threads + 1
    assert after.descriptors == before.descriptors + 2
    assert after.resident_bytes > before.resident_bytes + 32 * 2**20
    assert after.peak_bytes >= after.resident_bytes


def test_a_process_that_is_gone_has_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert figures_of(process.pid) is not None
    process.communicate(b"\n")
    assert figures_of(process.pid) is None


def test_the_machine_is_named_in_a_line() -> None:
    assert f"{len(os.sched_getaffinity(0))} cores" in machine()
    assert "\n" not in machine()
