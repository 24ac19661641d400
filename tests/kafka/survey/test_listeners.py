from __future__ import annotations

import socket

import pytest

from consumer.kafka.addresses import split_bootstrap
from consumer.kafka.survey.listeners import try_all, try_one


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kafka", [("kafka", 9092)]),
        ("kafka:19092", [("kafka", 19092)]),
        ("a:1, b:2 ,c", [("a", 1), ("b", 2), ("c", 9092)]),
        ("SASL_SSL://kafka.example:9093", [("kafka.example", 9093)]),
        ("[::1]:9093", [("::1", 9093)]),
        ("[::1]", [("::1", 9092)]),
        ("a:1,", [("a", 1)]),
    ],
)
def test_addresses_are_read_as_the_client_reads_them(
    text: str, found: list[tuple[str, int]]
) -> None:
    assert split_bootstrap(text) == found


def test_an_open_port_and_a_closed_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert try_one("127.0.0.1", port).problem == ""
        reached = try_all([("127.0.0.1", port), ("broker.invalid", 9092)])
    assert [one.address for one in reached] == [f"127.0.0.1:{port}", "broker.invalid:9092"]
    assert reached[0].problem == ""
    assert reached[1].problem.startswith("the name broker.invalid does not resolve (")
    assert try_one("127.0.0.1", port).problem == "no connection (Connection refused)"


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", ""])
def test_what_is_no_name_is_told(host: str) -> None:
    assert try_one(host, 9092).problem


def test_a_port_beyond_all_ports() -> None:
    assert try_one("127.0.0.1", 70_000).problem


def test_a_silent_host_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", silent)
    assert try_one("127.0.0.1", 9092).problem == "no connection within 3 s"
