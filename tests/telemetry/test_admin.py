"""The admin server over real sockets on the loopback."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.registry import Collector

from consumer.contracts.errors import SettingsError
from consumer.telemetry import admin
from consumer.telemetry.admin import AdminServer
from consumer.telemetry.health import Health

GOOD = Health(alive=True, ready=True)


class Answer:
    """A response, read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()


class Served:
    """A running server whose health can be set."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        Counter("things", "Things.", registry=self.registry).inc(3)
        self.health: Health | Exception = GOOD
        self.server = AdminServer("127.0.0.1", 0, self.registry, self._look)
        self.server.start()

    def _look(self) -> Health:
        if isinstance(self.health, Exception):
            raise self.health
        return self.health

    def ask(self, path: str, method: str = "GET", accept: str = "", body: bytes = b"") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            headers = {"Accept": accept} if accept else {}
            connection.request(method, path, body=body or None, headers=headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.server.close()


def test_metrics_as_text(served: Served) -> None:
    answer = served.ask("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"\nthings_total 3.0\n" in answer.body


def test_metrics_as_openmetrics(served: Served) -> None:
    answer = served.ask("/metrics?x=1", accept="application/openmetrics-text; version=1.0.0")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")


def test_a_metric_that_fails_is_an_error_and_not_the_end(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Collector):
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> list[Metric]:
            raise RuntimeError("no number")

    served.registry.register(Broken())
    answer = served.ask("/metrics")
    assert answer.status == 500
    assert json.loads(answer.body)["error"] == "the metrics cannot be collected"
    assert "no number" in caplog.text
    assert served.ask("/healthz").status == 200


def test_healthy(served: Served) -> None:
    for path, question in (("/healthz", "alive"), ("/readyz", "ready")):
        answer = served.ask(path)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert json.loads(answer.body) == {question: True, "reasons": []}


def test_alive_but_not_ready(served: Served) -> None:
    served.health = Health(alive=True, ready=False, reasons=("no partition is assigned",))
    assert served.ask("/healthz").status == 200
    answer = served.ask("/readyz")
    assert answer.status == 503
    assert json.loads(answer.body) == {"ready": False, "reasons": ["no partition is assigned"]}


def test_stalled(served: Served) -> None:
    served.health = Health(alive=False, ready=True, reasons=("tag stands for 130 s",))
    answer = served.ask("/healthz")
    assert answer.status == 503
    assert json.loads(answer.body) == {"alive": False, "reasons": ["tag stands for 130 s"]}
    assert served.ask("/readyz").status == 200


def test_a_health_check_that_fails_is_no_sign_of_life(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.health = RuntimeError("lock lost")
    for path in ("/healthz", "/readyz"):
        answer = served.ask(path)
        assert answer.status == 503
        assert "lock lost" in json.loads(answer.body)["reasons"][0]
    assert "lock lost" in caplog.text


def test_index_lists_the_endpoints(served: Served) -> None:
    answer = served.ask("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for path in ("/metrics", "/healthz", "/readyz"):
        assert f'href="{path}"'.encode() in answer.body


def test_unknown_path(served: Served) -> None:
    answer = served.ask("/nothing")
    assert answer.status == 404
    assert json.loads(answer.body) == {"status": 404, "error": "there is no /nothing here; see /"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(served: Served, method: str) -> None:
    answer = served.ask("/metrics", method=method, body=b"x" * 100)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.headers["Connection"] == "close"
    assert json.loads(answer.body)["status"] == 405


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/nothing"])
def test_head_is_get_without_the_body(served: Served, path: str) -> None:
    got, head = served.ask(path), served.ask(path, method="HEAD")
    assert head.status == got.status
    assert head.body == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_nothing_follows_the_headers_of_a_head(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=20) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


def test_one_connection_serves_many_requests(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=20)
    for path in ("/healthz", "/metrics", "/readyz"):
        connection.request("GET", path)
        assert Answer(connection.getresponse()).status == 200
    connection.close()


def test_silent_clients_hold_up_nobody(served: Served) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.server.port)) for _ in range(5)]
    for client in silent:
        client.sendall(b"GET /metr")
    try:
        assert served.ask("/healthz").status == 200
    finally:
        for client in silent:
            client.close()


def test_a_silent_client_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin._Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=20) as client:
        client.sendall(b"GET /metr")
        assert client.recv(100) == b""


def test_nothing_is_written_to_the_terminal(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    served.ask("/metrics")
    served.ask("/nothing")
    with socket.create_connection(("127.0.0.1", served.server.port)) as client:
        client.sendall(b"no HTTP at all\r\n\r\n")
        assert b"400" in client.recv(1000)
    assert capfd.readouterr() == ("", "")


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as raised:
            AdminServer("127.0.0.1", port, CollectorRegistry(), lambda: GOOD)
    assert raised.value.setting == "admin_port"
    assert str(port) in raised.value.problem
    assert "0 to take a free one" in raised.value.remedy


def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(SettingsError) as raised:
        AdminServer("192.0.2.1", 0, CollectorRegistry(), lambda: GOOD)
    assert raised.value.setting == "admin_host"
    assert "192.0.2.1" in raised.value.problem


def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = AdminServer("::1", 0, CollectorRegistry(), lambda: GOOD)
    server.start()
    connection = http.client.HTTPConnection("::1", server.port, timeout=20)
    connection.request("GET", "/healthz")
    assert Answer(connection.getresponse()).status == 200
    connection.close()
    server.close()


def test_close_frees_the_port_and_ends_the_thread() -> None:
    server = AdminServer("127.0.0.1", 0, CollectorRegistry(), lambda: GOOD)
    server.start()
    port = server.port
    server.close()
    server.close()
    assert "admin" not in {thread.name for thread in threading.enumerate()}
    again = AdminServer("127.0.0.1", port, CollectorRegistry(), lambda: GOOD)
    assert again.port == port
    again.close()
