"""When a drain lets go, and when its time is up."""

from __future__ import annotations

import pytest

from consumer.pipeline.drain import Drain


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_before_it_begins_nothing_is_due() -> None:
    drain = Drain(30.0, Clock())
    assert not drain.has_begun
    assert not drain.lets_go(60.0)
    assert drain.overdue(7) is None


def test_it_begins_once() -> None:
    clock = Clock()
    drain = Drain(30.0, clock)
    assert drain.begin()
    clock.now += 20
    assert not drain.begin()
    assert drain.has_begun
    clock.now += 11  # by the first beginning
    assert drain.overdue(7) is not None


def test_it_lets_go_once_after_half_of_its_time() -> None:
    clock = Clock()
    drain = Drain(30.0, clock)
    drain.begin()
    clock.now += 14.9
    assert not drain.lets_go(7.0)
    clock.now += 0.1
    assert drain.lets_go(7.0)
    assert not drain.lets_go(7.0)


@pytest.mark.parametrize(("batch_s", "after_s"), [(0.0, 15.0), (8.0, 14.0), (14.0, 2.0)])
def test_it_lets_go_while_two_batches_can_still_be_done(batch_s: float, after_s: float) -> None:
    clock = Clock()
    drain = Drain(30.0, clock)
    drain.begin()
    clock.now += after_s - 0.1
    assert not drain.lets_go(batch_s)
    clock.now += 0.2
    assert drain.lets_go(batch_s)


def test_it_lets_go_at_once_where_two_batches_take_longer_than_it_may() -> None:
    drain = Drain(30.0, Clock())
    drain.begin()
    assert drain.lets_go(16.0)


def test_its_time_is_up_after_all_of_it() -> None:
    clock = Clock()
    drain = Drain(30.0, clock)
    drain.begin()
    clock.now += 30.0
    assert drain.overdue(7) is None
    clock.now += 0.1
    assert "shutdown_timeout_s=30; 7 messages are uncommitted" in str(drain.overdue(7))
