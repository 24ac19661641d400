"""Signals that ask the process to end are counted, each of them, and a third one ends it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import deque
from pathlib import Path

import pytest

from consumer.signals import EndSignals

#: A process whose main thread is in C for ever, where no handler of Python's is called, and no
#: signal interrupts it. It says when it is there.
IN_C_FOR_EVER = """
    import ctypes, os, sys, threading
    from consumer.signals import EndSignals

    def tell():
        os.write(1, b"there")

    libc = ctypes.CDLL(None)
    mutex = ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    with EndSignals() as signals:
        threading.Thread(target=tell).start()
        libc.pthread_mutex_lock(mutex)
"""

OPEN_FILES = Path("/proc/self/fd")


def come_at_once(*numbers: signal.Signals) -> None:
    """Signals that come one after the other, before any handler of Python's is called."""
    deque(map(ctypes.CDLL(None)["raise"], numbers), maxlen=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_counted_and_the_old_handlers_come_back(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda got, _: heard.append(got))
    try:
        with EndSignals() as signals:
            assert signals() == 0
            os.kill(os.getpid(), number)
            assert signals() == 1
            os.kill(os.getpid(), number)
            assert signals() == 2
            assert heard == []
            os.kill(os.getpid(), number)
            assert (signals(), heard) == (2, [number])
        with EndSignals():
            pass
        os.kill(os.getpid(), number)
        assert heard == [number, number]
        assert (signals(), signals.number) == (2, number)
    finally:
        signal.signal(number, before)


def test_a_second_signal_that_nobody_would_see_forces() -> None:
    forced: list[bool] = []
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with EndSignals(lambda: forced.append(True)):
            os.kill(os.getpid(), signal.SIGTERM)
            assert forced == []
            os.kill(os.getpid(), signal.SIGTERM)
        assert forced == [True]
        with EndSignals(lambda: forced.append(False)) as signals:
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals() == 1
            os.kill(os.getpid(), signal.SIGTERM)
            assert (signals(), forced) == (2, [True])
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_signals_that_the_interpreter_takes_for_one_are_two(number: signal.Signals) -> None:
    forced: list[bool] = []
    with EndSignals(lambda: forced.append(True)):
        come_at_once(number, number)
    assert forced == [True]
    with EndSignals(lambda: forced.append(False)) as signals:
        assert signals() == 0
        os.kill(os.getpid(), number)
        assert signals() == 1
        come_at_once(number)
        assert signals() == 2
    assert forced == [True]


def test_a_third_one_forces_although_somebody_sees_to_the_others() -> None:
    forced: list[bool] = []
    with EndSignals(lambda: forced.append(True)) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert (signals(), forced) == (1, [])
        come_at_once(signal.SIGTERM, signal.SIGTERM)
    assert forced == [True]


def test_the_first_one_is_told_and_no_other_signal_counts() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with EndSignals() as signals:
            come_at_once(signal.SIGUSR1, signal.SIGUSR1, signal.SIGINT)
            assert (signals(), signals.number) == (1, signal.SIGINT)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_was_woken_before_is_woken_again_and_nothing_is_left_open() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    open_files = len([*OPEN_FILES.iterdir()])
    threads = threading.active_count()
    before = signal.set_wakeup_fd(writing)
    try:
        with EndSignals():
            pass
        assert signal.set_wakeup_fd(before) == writing
    finally:
        signal.set_wakeup_fd(before)
    assert len([*OPEN_FILES.iterdir()]) == open_files
    assert threading.active_count() == threads
    os.close(reading)
    os.close(writing)


def until_it_ends(process: subprocess.Popen[bytes]) -> int:
    """Send it SIGTERM until it has ended: two that come before it runs are one to the system."""
    for _ in range(240):
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("it goes on")


@pytest.mark.parametrize("told", ["a pipe", "closed", "a full pipe"])
def test_a_main_thread_that_is_in_c_for_ever_is_forced(told: str) -> None:
    reading, writing = os.pipe()
    if told == "a full pipe":
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, bytes(65_536))
        except BlockingIOError:
            os.set_blocking(writing, True)
    close = "os.close(2)\n" if told == "closed" else ""
    with subprocess.Popen(
        [sys.executable, "-c", "import os\n" + close + textwrap.dedent(IN_C_FOR_EVER)],
        stdout=subprocess.PIPE,
        stderr=writing,
    ) as process:
        try:
            os.close(writing)
            assert process.stdout is not None
            assert process.stdout.read(5) == b"there"
            assert until_it_ends(process) == 1
            if told == "a pipe":
                assert os.read(reading, 4096) == (
                    b"nerstream: error: forced by a second signal; "
                    b"what is uncommitted will be read again\n"
                )
        finally:
            process.kill()
            os.close(reading)
