"""Accounts of processor time, without a clock."""

from __future__ import annotations

import pytest

from consumer.telemetry.admin.allowance import Allowance, ClientAllowances, client_of


def test_what_was_spent_comes_back_with_time() -> None:
    account = Allowance(0.1, 1.0, now=100.0)
    assert account.wait_s(100.0) == 0.0
    account.spend(1.5, 100.0)
    assert account.wait_s(100.0) == pytest.approx(5.0)
    assert account.wait_s(103.0) == pytest.approx(2.0)
    assert account.wait_s(105.1) == 0.0


def test_it_fills_to_the_burst_and_no_further() -> None:
    account = Allowance(0.1, 1.0, now=0.0)
    account.spend(1.0, 1_000_000.0)
    assert account.wait_s(1_000_000.0, keep_s=0.5) == pytest.approx(5.0)


def test_a_part_may_be_kept() -> None:
    account = Allowance(0.1, 1.0, now=0.0)
    account.spend(0.9, 0.0)
    assert account.wait_s(0.0) == 0.0
    assert account.wait_s(0.0, keep_s=0.2) == pytest.approx(1.0)


def test_a_clock_that_goes_back_takes_nothing() -> None:
    account = Allowance(0.1, 1.0, now=10.0)
    account.spend(2.0, 10.0)
    assert account.wait_s(5.0) == pytest.approx(10.0)
    assert account.wait_s(10.0) == pytest.approx(10.0)


def test_each_client_has_its_own_and_few_are_remembered() -> None:
    clients = ClientAllowances(0.1, 1.0, clients=2)
    for name in ("a", "b"):
        clients.of(name, 0.0).spend(2.0, 0.0)
    assert clients.of("a", 0.0).wait_s(0.0) > 0
    clients.of("c", 0.0)
    assert clients.of("a", 0.0).wait_s(0.0) > 0
    assert clients.of("b", 0.0).wait_s(0.0) == 0.0


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("@", "@"),
    ],
)
def test_whom_an_address_belongs_to(address: str, client: str) -> None:
    assert client_of(address) == client
