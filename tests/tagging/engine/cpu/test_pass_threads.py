"""PassThreads: each computes alone, also in a process that was forked since."""

from __future__ import annotations

import os
import signal
import threading

import torch

from consumer.tagging.engine.cpu.pass_threads import PassThreads


def here(_: int) -> tuple[int, int, str]:
    return os.getpid(), torch.get_num_threads(), threading.current_thread().name


def test_each_computes_alone() -> None:
    threads = PassThreads(2)
    assert {(pid, alone) for pid, alone, _ in threads.map(here, range(8))} == {(os.getpid(), 1)}
    assert threads.submit(here, 0).result()[1] == 1
    threads.shutdown()


def test_a_process_that_was_forked_starts_its_own() -> None:
    threads = PassThreads(2)
    before = {name for *_, name in threads.map(here, range(8))}
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(100)  # it must not outlive a test that fails
            found = list(threads.map(here, range(8)))
            good = {pid for pid, _, _ in found} == {os.getpid()}
            good = good and {alone for _, alone, _ in found} == {1}
            os.write(writing, b"good" if good else repr(found).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        assert said.read() == b"good"
    os.waitpid(child, 0)
    assert {name for *_, name in threads.map(here, range(8))} <= before | {
        f"nerstream-pass_{n}" for n in range(2)
    }
    threads.shutdown()
