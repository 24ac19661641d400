"""Calls of other threads on the consumer, made by its owner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from consumer.contracts.errors import AbortableError
from consumer.kafka.source.errands import Errands
from tests.support.fakes import eventually


def asked(
    errands: Errands, call: Callable[[], object], results: list[object], patience_s: float = 30
) -> threading.Thread:
    def ask() -> None:
        try:
            results.append(errands.run(call, patience_s))
        except Exception as failure:
            results.append(failure)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_the_owner_makes_the_call_and_the_asker_gets_the_answer() -> None:
    errands = Errands()
    results: list[object] = []
    thread = asked(errands, threading.get_ident, results)
    while thread.is_alive():
        errands.serve()
    assert results == [threading.get_ident()]


def test_the_owner_itself_does_not_wait() -> None:
    assert Errands().run(lambda: 7) == 7


def test_what_the_call_raises_reaches_the_asker_and_not_the_owner() -> None:
    errands = Errands()
    results: list[object] = []
    thread = asked(errands, lambda: 1 // 0, results)
    while thread.is_alive():
        errands.serve()
    assert isinstance(results[0], ZeroDivisionError)


def test_an_owner_that_does_not_come_by_is_not_waited_for_and_never_makes_the_call() -> None:
    errands, made = Errands(), list[int]()
    results: list[object] = []
    thread = asked(errands, lambda: made.append(1), results, patience_s=0.05)
    thread.join(30)
    assert isinstance(results[0], AbortableError)
    assert "not free" in str(results[0])
    errands.serve()
    assert made == []


def test_a_call_that_was_begun_is_waited_for_past_the_patience() -> None:
    errands = Errands()
    results: list[object] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        go_on.wait(30)
        return "done"

    def own() -> None:
        errands.own()
        while not begun.is_set():
            errands.serve()

    owner = threading.Thread(target=own)
    errands.own()
    thread = asked(errands, slow, results, patience_s=0.2)
    owner.start()
    begun.wait(30)
    thread.join(0.5)
    assert thread.is_alive(), "it left although its call is being made"
    go_on.set()
    thread.join(30)
    owner.join(30)
    assert results == ["done"]


def test_the_owner_waits_for_a_call_and_no_longer() -> None:
    errands = Errands()
    results: list[object] = []
    started = time.monotonic()
    errands.serve(0.05)
    assert time.monotonic() - started >= 0.05
    timer = threading.Timer(0.05, asked, (errands, threading.get_ident, results))
    timer.start()
    errands.serve(300)
    assert time.monotonic() - started < 200, "the call woke nobody"
    timer.join(30)
    eventually(lambda: results == [threading.get_ident()], "the answer")
    # What was answered wakes nobody again.
    started = time.monotonic()
    errands.serve(0.05)
    assert time.monotonic() - started >= 0.05


def test_closing_refuses_what_waits_and_what_comes() -> None:
    errands = Errands()
    results: list[object] = []
    thread = asked(errands, lambda: 1, results)
    while not errands._waiting:
        pass
    errands.close()
    thread.join(30)
    assert isinstance(results[0], AbortableError)
    with pytest.raises(AbortableError, match="closed"):
        errands.run(lambda: 1)
