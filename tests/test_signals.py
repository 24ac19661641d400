"""Signals that ask the process to end are counted, and a third one ends it."""

from __future__ import annotations

import os
import signal

import pytest

from consumer.signals import EndSignals


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
