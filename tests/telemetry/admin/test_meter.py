"""Who waits when the port has taken its share of the processor."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from consumer.telemetry.admin.meter import Meter


class Time:
    """A clock that goes on where somebody waits, and the processor time of the loop's thread."""

    def __init__(self) -> None:
        self.now = 0.0
        self.used = 5.0
        self.rests: list[float] = []

    def rest(self, seconds: float) -> None:
        """The thread of the loop waits."""
        self.rests.append(seconds)
        self.now += seconds

    def wait(self, waiting: Awaitable[object]) -> float:
        """Seconds that it waits."""
        began = self.now

        async def run() -> None:
            await waiting

        loop = asyncio.SelectorEventLoop()
        loop.time = lambda: self.now  # type: ignore[method-assign]
        selector: Any = loop._selector  # type: ignore[attr-defined]
        select = selector.select

        def pass_time(timeout: float | None) -> object:
            self.now += timeout or 0.0
            return select(0)

        selector.select = pass_time
        try:
            loop.run_until_complete(run())
        finally:
            loop.close()
        return self.now - began


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def meter(time: Time) -> Meter:
    return Meter(0.1, 1.0, lambda: time.now, lambda: time.used, None, 0.0)


def use(time: Time, meter: Meter, client: str, seconds: float) -> None:
    """Have the loop work for a client."""
    time.used += seconds
    meter.charge(client)


def test_nobody_waits_while_it_is_quiet(time: Time, meter: Meter) -> None:
    assert time.wait(meter.may_accept()) == 0
    assert time.wait(meter.may_read("a")) == 0
    assert time.wait(meter.turn("a", is_probe=False)) == 0
    assert not meter.is_short()


def test_all_wait_where_all_is_used(time: Time, meter: Meter) -> None:
    use(time, meter, "a", 1.1)
    assert time.wait(meter.may_accept()) == pytest.approx(1.0)
    use(time, meter, "a", 0.1)
    assert time.wait(meter.turn("new", is_probe=True)) == pytest.approx(1.0, abs=0.11)


def test_what_another_thread_took_counts_as_well(time: Time, meter: Meter) -> None:
    meter.charge_elsewhere("a", 1.1)
    assert time.wait(meter.may_accept()) == pytest.approx(1.0)


def test_pages_wait_first_and_newcomers_last(time: Time, meter: Meter) -> None:
    use(time, meter, "a", 0.96)
    # 0.04 s are left.
    assert meter.is_short()
    assert time.wait(meter.turn("b", is_probe=True)) == 0
    assert time.wait(meter.may_read("b")) == 0
    meter.charge_elsewhere("b", 0.001)
    use(time, meter, "c", 0.011)
    assert time.wait(meter.turn("c", is_probe=True)) == 0
    assert time.wait(meter.turn("b", is_probe=False)) == 0, "who has hardly asked does not wait"
    assert time.wait(meter.turn("c", is_probe=False)) == pytest.approx(0.3, abs=0.11)
    use(time, meter, "a", 0.045)
    use(time, meter, "b", 0.0)
    # 0.01 s are left, or a little more.
    assert time.wait(meter.may_accept()) == 0
    assert time.wait(meter.may_read("c")) > 0


def go_on(meter: Meter, clients: list[str]) -> Callable[[], Awaitable[list[str]]]:
    """In which order those that come in this order go on."""

    async def all_of_them() -> list[str]:
        order: list[str] = []

        async def one(client: str) -> None:
            await meter.turn(client, is_probe=False)
            order.append(client)

        await asyncio.gather(*map(one, clients))
        return order

    return all_of_them


def test_who_has_taken_least_goes_first(time: Time, meter: Meter) -> None:
    """However many have taken a little each, and together all."""
    for number in range(10):
        use(time, meter, f"crowd{number}", 0.12)
    orders: list[list[str]] = []

    async def run() -> None:
        crowd = [f"crowd{number}" for number in range(10) for _ in range(5)]
        orders.append(await go_on(meter, [*crowd, "probe"])())

    time.wait(run())
    assert orders[0][0] == "probe"
    assert len(orders[0]) == 51


def test_those_that_wait_together_do_not_begin_together(time: Time, meter: Meter) -> None:
    meter.charge_elsewhere("a", 0.99)
    at: list[float] = []

    async def one() -> None:
        await meter.turn("a", is_probe=False)
        at.append(time.now)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(100)))

    time.wait(all_of_them())
    # In a tenth of a second there is time for 33.
    assert max(at.count(moment) for moment in at) <= 35
    assert at == sorted(at)


def test_who_has_gone_takes_no_turn(time: Time, meter: Meter) -> None:
    meter.charge_elsewhere("a", 1.0)

    async def gone_and_another() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await meter.turn("a", is_probe=False)
        await meter.turn("a", is_probe=False)

    assert time.wait(gone_and_another()) == pytest.approx(0.5, abs=0.11)


def test_the_loop_rests_once_a_turn_while_time_is_short(time: Time) -> None:
    """So that it is woken some times a second for all that has come."""
    meter = Meter(0.1, 1.0, lambda: time.now, lambda: time.used, time.rest)
    use(time, meter, "a", 0.955)
    turns = 0

    async def run() -> None:
        nonlocal turns
        await meter.may_read("a")
        while meter.is_short() and turns < 100:
            await asyncio.sleep(0)
            turns += 1

    time.wait(run())
    # From 0.045 s that are left to 0.05.
    assert time.rests == [0.02] * 3
    assert turns <= 4
    time.wait(meter.may_read("a"))
    assert len(time.rests) == 3, "it rests no longer"


@pytest.mark.parametrize("left_s", [0.2, 0.0])
def test_pages_that_begin_together_pay_in_advance(time: Time, meter: Meter, left_s: float) -> None:
    """What is there for three pages begins three, at once or after a wait, and not a hundred."""
    meter.charge_page("a", 0.05, 0.0)
    meter.charge_elsewhere("a", 0.95 - left_s)
    begun: list[float] = []

    async def page() -> None:
        assert await meter.turn("a", is_probe=False) == pytest.approx(0.05)
        begun.append(time.now)

    async def together() -> None:
        pages = [asyncio.ensure_future(page()) for _ in range(100)]
        await asyncio.sleep(1.0)
        for one in pages:
            one.cancel()

    time.wait(together())
    # From 0.2 s to 0.05 s that are kept, and 0.1 s that are earned in a second.
    assert len(begun) in ((5, 6) if left_s else (1, 2))
    assert max(begun.count(at) for at in begun) <= 3


def test_what_a_page_cost_less_is_given_back(time: Time, meter: Meter) -> None:
    meter.charge_page("a", 0.5, 0.0)
    advance_s: list[float] = []

    async def turn() -> None:
        advance_s.append(await meter.turn("a", is_probe=False))

    time.wait(turn())
    assert meter.is_short()
    meter.charge_page("a", 0.01, advance_s[0])
    assert not meter.is_short()


def test_the_first_pages_are_taken_to_be_dear(time: Time) -> None:
    meter = Meter(0.1, 0.3, lambda: time.now, lambda: time.used, None)
    begun = []

    async def page() -> None:
        await meter.turn("a", is_probe=False)
        begun.append(time.now)

    async def together() -> None:
        pages = [asyncio.ensure_future(page()) for _ in range(100)]
        await asyncio.sleep(0.0)
        for one in pages:
            one.cancel()

    time.wait(together())
    assert 5 <= len(begun) <= 6
