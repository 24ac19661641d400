"""The figures of a process are the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from tests.faults.process_figures import figures_of, machine


def test_a_thread_a_descriptor_and_memory_more_are_counted() -> None:
    before = figures_of(os.getpid())
    assert before is not None
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    first, second = os.pipe()
    memory = bytearray(b"x" * 64 * 2**20)
    try:
        after = figures_of(os.getpid())
    finally:
        ended.set()
        thread.join()
        os.close(first)
        os.close(second)
    assert after is not None
    assert after.threads == before.threads + 1
    assert after.descriptors == before.descriptors + 2
    assert after.resident_bytes > before.resident_bytes + len(memory) // 2
    assert after.peak_bytes >= after.resident_bytes


def test_a_process_that_is_gone_has_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert figures_of(process.pid) is not None
    process.communicate(b"\n")
    assert figures_of(process.pid) is None


def test_the_machine_is_named_in_a_line() -> None:
    assert f"{len(os.sched_getaffinity(0))} cores" in machine()
    assert "\n" not in machine()
