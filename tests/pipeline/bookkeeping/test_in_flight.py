"""InFlight: the load between poll and commit, and its two marks."""

from __future__ import annotations

import threading

import pytest

from consumer.pipeline.bookkeeping.in_flight import InFlight


def test_counts_what_comes_and_goes() -> None:
    load = InFlight(10, 1_000)
    load.add(3, 300)
    load.add(2, 50)
    load.remove(1, 100)
    assert (load.messages, load.size_bytes, load.room) == (4, 250, 6)


def test_there_is_never_less_than_no_room() -> None:
    load = InFlight(2, 1_000)
    load.add(5, 10)
    assert load.room == 0


@pytest.mark.parametrize(("messages", "size_bytes"), [(10, 0), (0, 1_000), (11, 2_000)])
def test_pauses_at_either_bound(messages: int, size_bytes: int) -> None:
    load = InFlight(10, 1_000)
    load.add(9, 999)
    assert not load.must_pause
    load.remove(9, 999)
    load.add(messages, size_bytes)
    assert load.must_pause


@pytest.mark.parametrize(
    ("messages", "size_bytes", "resumes"),
    [(10, 1_000, False), (6, 0, False), (0, 501, False), (5, 500, True), (0, 0, True)],
)
def test_resumes_well_under_both_bounds(messages: int, size_bytes: int, resumes: bool) -> None:
    load = InFlight(10, 1_000)
    load.add(messages, size_bytes)
    assert load.may_resume is resumes


def test_a_bound_of_one_can_resume() -> None:
    load = InFlight(1, 1)
    load.add(1, 100)
    assert load.must_pause
    load.remove(1, 100)
    assert load.may_resume


def test_threads_do_not_lose_counts() -> None:
    load = InFlight(10, 10)

    def work() -> None:
        for _ in range(2_000):
            load.add(2, 3)
            load.remove(1, 2)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (load.messages, load.size_bytes) == (8_000, 8_000)
