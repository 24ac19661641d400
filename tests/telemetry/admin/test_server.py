"""The admin server over real sockets on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import json
import socket
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from consumer.contracts.errors import SettingsError
from consumer.telemetry.admin import AdminServer, Answer, Request
from consumer.telemetry.admin.connection import Limits
from consumer.telemetry.admin.kept_out import KeptOut
from consumer.telemetry.admin.meter import Meter
from consumer.telemetry.health import Health
from tests.support.rigs.admin_rig import GOOD, PATIENCE_S, AdminRig, Reply, admin_rig, everything


@pytest.fixture
def served() -> Iterator[AdminRig]:
    with admin_rig() as rig:
        yield rig


def test_metrics_as_text(served: AdminRig) -> None:
    answer = served.ask("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"\nthings_total 3.0\n" in answer.body


def test_metrics_as_openmetrics(served: AdminRig) -> None:
    answer = served.ask(
        "/metrics?x=1", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")


def test_a_metric_that_fails_is_an_error_and_not_the_end(
    served: AdminRig, caplog: pytest.LogCaptureFixture
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


def test_healthy(served: AdminRig) -> None:
    for path, question in (("/healthz", "alive"), ("/readyz", "ready")):
        answer = served.ask(path)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert json.loads(answer.body) == {question: True, "reasons": []}


def test_alive_but_not_ready(served: AdminRig) -> None:
    served.health = Health(alive=True, ready=False, reasons=("no partition is assigned",))
    assert served.ask("/healthz").status == 200
    answer = served.ask("/readyz")
    assert answer.status == 503
    assert json.loads(answer.body) == {"ready": False, "reasons": ["no partition is assigned"]}


def test_stalled(served: AdminRig) -> None:
    served.health = Health(alive=False, ready=True, reasons=("tag stands for 130 s",))
    answer = served.ask("/healthz")
    assert answer.status == 503
    assert json.loads(answer.body) == {"alive": False, "reasons": ["tag stands for 130 s"]}
    assert served.ask("/readyz").status == 200


def test_a_health_check_that_fails_is_no_sign_of_life(
    served: AdminRig, caplog: pytest.LogCaptureFixture
) -> None:
    served.health = RuntimeError("lock lost")
    for path in ("/healthz", "/readyz"):
        answer = served.ask(path)
        assert answer.status == 503
        assert "lock lost" in json.loads(answer.body)["reasons"][0]
    assert "lock lost" in caplog.text


def test_index_lists_the_endpoints(served: AdminRig) -> None:
    answer = served.ask("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for path in ("/metrics", "/healthz", "/readyz"):
        assert f'href="{path[1:]}">{path}</a>'.encode() in answer.body


def test_unknown_path(served: AdminRig) -> None:
    answer = served.ask("/nothing")
    assert answer.status == 404
    assert json.loads(answer.body) == {"status": 404, "error": "there is no /nothing here; see /"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(served: AdminRig, method: str) -> None:
    answer = served.ask("/metrics", method=method, body=b"x" * 100)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.headers["Connection"] == "close"
    assert json.loads(answer.body)["status"] == 405


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/nothing"])
def test_head_is_get_without_the_body(served: AdminRig, path: str) -> None:
    got, head = served.ask(path), served.ask(path, method="HEAD")
    assert head.status == got.status
    assert head.body == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_nothing_follows_the_headers_of_a_head(served: AdminRig) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=20) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


def test_one_connection_serves_many_requests(served: AdminRig) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=20)
    for path in ("/healthz", "/metrics", "/readyz"):
        connection.request("GET", path)
        assert Reply(connection.getresponse()).status == 200
    connection.close()


def test_silent_clients_hold_up_nobody(served: AdminRig) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.server.port)) for _ in range(5)]
    for client in silent:
        client.sendall(b"GET /metr")
    try:
        assert served.ask("/healthz").status == 200
    finally:
        for client in silent:
            client.close()


def test_nothing_is_written_to_the_terminal(
    served: AdminRig, capfd: pytest.CaptureFixture[str]
) -> None:
    served.ask("/metrics")
    served.ask("/nothing")
    with socket.create_connection(("127.0.0.1", served.server.port)) as client:
        client.sendall(b"no HTTP at all\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")
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
    assert Reply(connection.getresponse()).status == 200
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


def test_it_may_be_closed_before_it_began() -> None:
    AdminServer("127.0.0.1", 0, CollectorRegistry(), lambda: GOOD).close()


def test_closing_waits_for_nobody(served: AdminRig) -> None:
    with served.connect() as silent, served.connect() as asking:
        asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asking.recv(100)
        silent.sendall(b"GET /met")
        served.server.close()
        assert everything(silent) == b""


def test_further_pages() -> None:
    def page(request: Request) -> Answer:
        body = json.dumps([request.path, request.query, request.headers["x-who"]]).encode()
        return Answer(body, "application/json", 203, {"Content-Security-Policy": "img-src 'self'"})

    with admin_rig({"/live/data": page, "/": page, "/healthz": page}) as rig:
        reply = rig.ask("/live/d%61ta?a=1&b=&a=%20&b", headers={"X-Who": "me"})
        assert reply.status == 203
        assert reply.headers["Content-Type"] == "application/json"
        policy = "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        assert reply.headers["Content-Security-Policy"] == policy
        assert json.loads(reply.body) == ["/live/data", {"a": ["1", " "], "b": ["", ""]}, "me"]
        assert rig.ask("/", headers={"X-Who": "you"}).status == 203
        assert json.loads(rig.ask("/healthz").body) == {"alive": True, "reasons": []}
        assert rig.ask("/metrics").status == 200


def test_a_page_that_fails_is_an_error_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Request) -> Answer:
        raise RuntimeError("no page today")

    def torn(_: Request) -> Answer:
        return Answer(b"", "text/plain", headers={"X-Id": "1\r\nSet-Cookie: a=b"})

    with admin_rig({"/broken": broken, "/torn": torn}) as rig:
        for path in ("/broken", "/torn"):
            reply = rig.ask(path)
            assert reply.status == 500
            assert json.loads(reply.body)["error"] == "the page failed; see the log"
            assert "Set-Cookie" not in reply.headers
        assert "no page today" in caplog.text
        assert rig.ask("/healthz").status == 200


def test_a_page_that_hangs_holds_up_no_other_kind() -> None:
    go_on = threading.Event()

    def hangs(_: Request) -> Answer:
        go_on.wait()
        return Answer(b"", "text/plain")

    with admin_rig({"/hangs": hangs}, limits=Limits(page_s=0.2)) as rig:
        try:
            reply = rig.ask("/hangs")
            assert reply.status == 503
            assert json.loads(reply.body)["error"] == "no answer within 0.2 s"
            assert rig.ask("/healthz").status == 200
        finally:
            go_on.set()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's packet filter")
def test_a_crowd_is_not_heard_while_time_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until its while is over, though nobody else comes; a probe is answered all the while."""
    told = threading.Event()

    class Noted(KeptOut):
        def keep_out(self, clients: Iterable[str], now: float) -> bool:
            found = super().keep_out(clients, now)
            told.set()
            return found

    def short_while(listener: socket.socket) -> KeptOut:
        return Noted(listener, hold_s=2.0)

    monkeypatch.setattr("consumer.telemetry.admin.server.KeptOut", short_while)
    monkeypatch.setattr(Meter, "is_short", lambda _: True)
    with admin_rig() as rig, contextlib.ExitStack() as crowd:

        def another() -> socket.socket:
            opened = crowd.enter_context(socket.socket())
            opened.settimeout(PATIENCE_S)
            opened.bind(("127.0.0.2", 0))
            opened.connect(("127.0.0.1", rig.server.port))
            return opened

        for _ in range(8):
            another()
        assert another().recv(1) == b"", "the ninth is closed"
        assert told.wait(PATIENCE_S)
        # Its system asks until it is heard, and then it is closed as well.
        assert another().recv(1) == b""
        assert rig.ask("/healthz").status == 200


def test_a_connection_that_comes_as_the_server_ends_is_closed() -> None:
    server = AdminServer("127.0.0.1", 0, CollectorRegistry(), lambda: GOOD)

    async def end_in_that_moment() -> None:
        loop = asyncio.get_running_loop()
        accepting = loop.create_task(server._accept())
        await asyncio.sleep(0.05)
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S):
            # In the turn in which the loop hears of the connection, before who waits for it.
            loop.call_soon(lambda: loop.call_soon(accepting.cancel))
            with pytest.raises(asyncio.CancelledError):
                await accepting

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(end_in_that_moment())
        server.close()
        gc.collect()
    assert [str(one.message) for one in told if one.category is ResourceWarning] == []
