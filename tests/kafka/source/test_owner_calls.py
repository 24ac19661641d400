"""Calls of other threads on the consumer, made by its owner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from consumer.contracts.errors import AbortableError
from consumer.kafka.source.owner_calls import OwnerCalls
from tests.support.fakes import eventually


def asked(
    owner_calls: OwnerCalls,
    call: Callable[[], object],
    results: list[object],
    patience_s: float = 30,
) -> threading.Thread:
    def ask() -> None:
        try:
            results.append(owner_calls.run(call, patience_s))
        except Exception as failure:
            results.append(failure)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_the_owner_makes_the_call_and_the_asker_gets_the_answer() -> None:
    owner_calls = OwnerCalls()
    results: list[object] = []
    thread = asked(owner_calls, threading.get_ident, results)
    while thread.is_alive():
        owner_calls.serve()
    assert results == [threading.get_ident()]


def test_the_owner_itself_does_not_wait() -> None:
    assert OwnerCalls().run(lambda: 7) == 7


def test_what_the_call_raises_reaches_the_asker_and_not_the_owner() -> None:
    owner_calls = OwnerCalls()
    results: list[object] = []
    thread = asked(owner_calls, lambda: 1 // 0, results)
    while thread.is_alive():
        owner_calls.serve()
    assert isinstance(results[0], ZeroDivisionError)


def test_an_owner_that_does_not_come_by_is_not_waited_for_and_never_makes_the_call() -> None:
    owner_calls, made = OwnerCalls(), list[int]()
    results: list[object] = []
    thread = asked(owner_calls, lambda: made.append(1), results, patience_s=0.05)
    thread.join(30)
    assert isinstance(results[0], AbortableError)
    assert "not free" in str(results[0])
    owner_calls.serve()
    assert made == []


def test_a_call_that_was_begun_is_waited_for_past_the_patience() -> None:
    owner_calls = OwnerCalls()
    results: list[object] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        go_on.wait(30)
        return "done"

    def own() -> None:
        owner_calls.own()
        while not begun.is_set():
            owner_calls.serve()

    owner = threading.Thread(target=own)
    owner_calls.own()
    thread = asked(owner_calls, slow, results, patience_s=0.2)
    owner.start()
    begun.wait(30)
    thread.join(0.5)
    assert thread.is_alive(), "it left although its call is being made"
    go_on.set()
    thread.join(30)
    owner.join(30)
    assert results == ["done"]


def test_the_owner_waits_for_a_call_and_no_longer() -> None:
    owner_calls = OwnerCalls()
    results: list[object] = []
    started = time.monotonic()
    owner_calls.serve(0.05)
    assert time.monotonic() - started >= 0.05
    timer = threading.Timer(0.05, asked, (owner_calls, threading.get_ident, results))
    timer.start()
    owner_calls.serve(300)
    assert time.monotonic() - started < 200, "the call woke nobody"
    timer.join(30)
    eventually(lambda: results == [threading.get_ident()], "the answer")
    # What was answered wakes nobody again.
    started = time.monotonic()
    owner_calls.serve(0.05)
    assert time.monotonic() - started >= 0.05


def test_closing_refuses_what_waits_and_what_comes() -> None:
    owner_calls = OwnerCalls()
    results: list[object] = []
    thread = asked(owner_calls, lambda: 1, results)
    while not owner_calls._waiting:
        pass
    owner_calls.close()
    thread.join(30)
    assert isinstance(results[0], AbortableError)
    with pytest.raises(AbortableError, match="closed"):
        owner_calls.run(lambda: 1)
