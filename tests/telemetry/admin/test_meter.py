"""Who waits when the port has taken its share of the processor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from consumer.telemetry.admin.meter import Meter


class Time:
    """A clock that goes on where somebody sleeps, and the processor time of the loop's thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.used = 5.0
        self.slept = 0.0
        monkeypatch.setattr(asyncio, "sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds

    def wait(self, waiting: Awaitable[None]) -> float:
        """Seconds that it waits."""
        self.slept = 0.0

        async def run() -> None:
            await waiting

        asyncio.run(run())
        return self.slept


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


@pytest.fixture
def meter(time: Time) -> Meter:
    return Meter(0.1, 1.0, lambda: time.now, lambda: time.used)


def test_nobody_waits_while_it_is_quiet(time: Time, meter: Meter) -> None:
    assert time.wait(meter.may_read()) == 0
    assert time.wait(meter.turn("a", is_probe=False)) == 0


def test_all_wait_where_the_loop_took_too_much(time: Time, meter: Meter) -> None:
    time.used += 1.1
    assert time.wait(meter.may_read()) == pytest.approx(1.0)
    time.used += 0.1
    assert time.wait(meter.turn("a", is_probe=True)) == pytest.approx(1.0)


def test_what_another_thread_took_counts_as_well(time: Time, meter: Meter) -> None:
    meter.charge_elsewhere("a", 1.1)
    assert time.wait(meter.may_read()) == pytest.approx(1.0)


def test_probes_and_newcomers_go_before_pages(time: Time, meter: Meter) -> None:
    time.used += 0.9
    assert time.wait(meter.may_read()) == 0
    assert time.wait(meter.turn("a", is_probe=True)) == 0
    assert time.wait(meter.turn("a", is_probe=False)) == pytest.approx(1.0)


def test_a_client_that_asks_without_end_waits_alone(time: Time, meter: Meter) -> None:
    for _ in range(2):
        before = meter.used()
        time.used += 0.5
        meter.charge("a", before)
        time.wait(meter.may_read())
        time.now += 5.0
    assert time.wait(meter.turn("b", is_probe=False)) == 0
    assert time.wait(meter.turn("a", is_probe=True)) == 0
    assert time.wait(meter.turn("a", is_probe=False)) > 0


def test_those_that_wait_together_do_not_begin_together(time: Time, meter: Meter) -> None:
    meter.charge_elsewhere("a", 0.76)
    waits = [time.wait(meter.turn("a", is_probe=False)) for _ in range(3)]
    assert all(wait > 0 for wait in waits)
