"""Reporter: what a worker tells its supervisor, and what it hears."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest

from consumer.contracts.runs import RunProgress, RunState
from consumer.settings.schema import Settings
from consumer.supervisor.reporter import Reporter
from consumer.supervisor.wire import Failed, Order, Report, Working
from consumer.telemetry.gathered import total
from consumer.telemetry.health import Health
from tests.support.fakes import PATIENCE_S, eventually
from tests.support.scraped import Scraped


class Rig:
    """A reporter, and the supervisor's end of its pipe."""

    def __init__(self) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.reporter = Reporter(theirs, interval_s=0.01)
        self.scraped = Scraped()
        self.health = Health(True, True)
        self.fails = False
        self.signals = 0

    def start(self) -> None:
        def health() -> Health:
            if self.fails:
                raise ArithmeticError("broken")
            return self.health

        self.reporter.open(Settings(), self.scraped.registry, health)
        self.reporter.start()

    def told(self, kind: type[Any]) -> Any:
        """The next message of this kind."""
        while True:
            assert self.pipe.poll(PATIENCE_S), "nothing is told"
            message = self.pipe.recv()
            if isinstance(message, kind):
                return message

    def level(self) -> int:
        return self.reporter.orders(lambda: self.signals)


@pytest.fixture
def rig() -> Iterator[Rig]:
    one = Rig()
    yield one
    one.pipe.close()
    one.reporter.close()


def test_it_tells_health_numbers_and_progress_again_and_again(rig: Rig) -> None:
    rig.start()
    assert rig.told(Report).health == Health(True, True)
    rig.scraped.metrics.consumed(7, 100)
    rig.health = Health(True, False, ("no partition is assigned",))
    progress = RunProgress(RunState(3, 9, False), 1.0, 6.0)
    rig.reporter.show(progress)
    eventually(lambda: rig.told(Report).run == progress, "the progress")
    report = rig.told(Report)
    assert report.health == rig.health
    assert total(report.families, "nerstream_messages_consumed_total") == 7


def test_the_last_report_has_all_that_was_counted(rig: Rig) -> None:
    rig.start()
    rig.told(Report)
    rig.scraped.metrics.consumed(7, 100)
    rig.reporter.close()
    last = None
    while rig.pipe.poll(0.2):
        last = rig.pipe.recv()
    assert isinstance(last, Report)
    assert total(last.families, "nerstream_messages_consumed_total") == 7
    rig.reporter.close()
    assert not rig.pipe.poll(0.1)


def test_a_health_check_that_fails_is_no_sign_of_life(rig: Rig) -> None:
    rig.fails = True
    rig.start()
    health = rig.told(Report).health
    assert not health.alive
    assert "broken" in health.reasons[0]


def test_orders_count_as_signals(rig: Rig) -> None:
    rig.start()
    assert rig.level() == 0
    rig.pipe.send(Order.STOP)
    eventually(lambda: rig.level() == 1, "the order")
    rig.pipe.send(Order.FORCE)
    eventually(lambda: rig.level() == 2, "the second")


def test_signals_that_come_by_themselves_never_force(rig: Rig) -> None:
    """A service manager sends them to every process, beside the supervisor's order."""
    rig.start()
    rig.signals = 1
    assert rig.level() == 1
    rig.signals = 3
    assert rig.level() == 1
    rig.pipe.send(Order.STOP)
    rig.told(Report)
    assert rig.level() == 1


def test_a_supervisor_that_is_gone_is_an_order_to_stop(rig: Rig) -> None:
    rig.start()
    rig.told(Report)
    rig.pipe.close()
    eventually(lambda: rig.level() == 1, "the order")


def test_nothing_fails_where_nobody_hears_any_more(rig: Rig) -> None:
    rig.pipe.close()
    rig.start()
    rig.reporter.works(None)
    rig.reporter.failed("broken")
    eventually(lambda: rig.level() == 1, "the order")


def test_it_tells_that_it_works_and_why_it_ends(rig: Rig) -> None:
    rig.reporter.works(3)
    rig.reporter.failed("the topic is gone")
    assert rig.told(Working) == Working(3)
    assert rig.told(Failed) == Failed("the topic is gone")
    assert isinstance(rig.pipe, Connection)
