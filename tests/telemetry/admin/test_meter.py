"""Who waits when the port has taken its share of the processor."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any

import pytest

from consumer.telemetry.admin.meter import Meter


class Time:
    """A clock that goes on where somebody waits, and the processor time of the loop's thread."""

    def __init__(self) -> None:
        self.now = 0.0
        self.used = 5.0

    def wait(self, waiting: Awaitable[None]) -> float:
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
    return Meter(0.1, 1.0, lambda: time.now, lambda: time.used)


def use(time: Time, meter: Meter, client: str, seconds: float) -> None:
    """Have the loop work for a client."""
    time.used += seconds
    meter.charge(client)


def test_nobody_waits_while_it_is_quiet(time: Time, meter: Meter) -> None:
    assert time.wait(meter.may_accept()) == 0
    assert time.wait(meter.may_read("a")) == 0
    assert time.wait(meter.turn("a", is_probe=False)) == 0
    assert not meter.turns_away("a")


def test_all_wait_where_all_is_used(time: Time, meter: Meter) -> None:
    for client in ("a", "b", "c", "d", "e"):
        use(time, meter, client, 0.22)
    assert time.wait(meter.may_accept()) == pytest.approx(1.0)
    use(time, meter, "a", 0.1)
    assert time.wait(meter.turn("new", is_probe=True)) == pytest.approx(1.0)


def test_what_another_thread_took_counts_as_well(time: Time, meter: Meter) -> None:
    meter.charge_elsewhere("a", 1.1)
    assert time.wait(meter.may_accept()) == pytest.approx(1.0)


def test_debtors_wait_first_and_pages_next(time: Time, meter: Meter) -> None:
    for client in ("a", "b", "c"):
        use(time, meter, client, 0.28)
    # 0.16 s are left: enough for all but the pages of those who have used up their own.
    assert time.wait(meter.turn("a", is_probe=True)) == 0
    assert time.wait(meter.turn("new", is_probe=False)) == 0
    use(time, meter, "d", 0.08)
    # 0.08 s are left.
    assert time.wait(meter.turn("new", is_probe=False)) == 0
    assert time.wait(meter.may_read("d")) == 0
    assert time.wait(meter.may_read("a")) == pytest.approx(0.2, abs=0.11)
    use(time, meter, "d", 0.06)
    # 0.04 s are left.
    assert time.wait(meter.may_read("new")) == 0
    assert time.wait(meter.turn("new", is_probe=True)) == 0
    assert time.wait(meter.turn("new", is_probe=False)) == pytest.approx(0.1, abs=0.11)
    assert time.wait(meter.may_accept()) == 0


def test_debtors_are_turned_away_where_little_is_left(time: Time, meter: Meter) -> None:
    for client in ("a", "b", "c"):
        use(time, meter, client, 0.28)
        assert not meter.turns_away(client)
    assert not meter.is_short()
    use(time, meter, "d", 0.08)
    assert meter.is_short()
    assert meter.turns_away("a")
    assert not meter.turns_away("d")
    assert not meter.turns_away("new")


def test_a_client_that_asks_without_end_waits_alone(time: Time, meter: Meter) -> None:
    use(time, meter, "a", 0.3)
    assert time.wait(meter.turn("b", is_probe=False)) == 0
    assert time.wait(meter.turn("a", is_probe=True)) == 0
    assert time.wait(meter.turn("a", is_probe=False)) == pytest.approx(3.35, abs=0.11)


def test_those_that_wait_together_do_not_begin_together(time: Time, meter: Meter) -> None:
    meter.charge_elsewhere("a", 0.26)
    at: list[float] = []

    async def one() -> None:
        await meter.turn("a", is_probe=False)
        at.append(time.now)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(20)))

    time.wait(all_of_them())
    # In a tenth of a second a client earns five turns.
    assert max(at.count(moment) for moment in at) <= 6
    assert at == sorted(at)


def test_who_has_gone_takes_no_turn(time: Time, meter: Meter) -> None:
    meter.charge_elsewhere("a", 0.26)

    async def gone_and_another() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await meter.turn("a", is_probe=False)
        await meter.turn("a", is_probe=False)

    assert time.wait(gone_and_another()) == pytest.approx(0.7, abs=0.11)
