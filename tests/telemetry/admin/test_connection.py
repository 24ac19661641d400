"""What strangers send: too slow, too much, not HTTP, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import random
import select
import socket
import time
from pathlib import Path

import pytest

from consumer.telemetry.admin import Answer, Page, Request, guests
from consumer.telemetry.admin.connection import Connection, Limits
from consumer.telemetry.admin.meter import Meter
from consumer.telemetry.admin.site import Site
from consumer.telemetry.admin.wire import PlainWire
from tests.support.rigs.admin_rig import PATIENCE_S, AdminRig, admin_rig, everything

ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def ended(client: socket.socket) -> bool:
    """Whether the server has ended this connection; waits for it."""
    return everything(client) == b""


def dribble(client: socket.socket, piece: bytes, pause_s: float) -> None:
    """Send this again and again, until the connection breaks."""
    while True:
        client.sendall(piece)
        time.sleep(pause_s)


@pytest.mark.parametrize("beginning", [b"", b"GET /metr", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_silent_client_is_cut_off(beginning: bytes) -> None:
    with admin_rig(limits=Limits(request_s=0.2)) as rig, rig.connect() as client:
        client.sendall(beginning)
        assert ended(client)


def test_dribbling_does_not_prolong_the_time() -> None:
    with admin_rig(limits=Limits(request_s=0.5, pieces=10_000)) as rig, rig.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            dribble(client, b"X-A: b\r\n", 0.02)


def test_a_request_in_too_many_pieces_is_cut_off() -> None:
    """Byte by byte, each sent when the one before was read."""

    async def serve() -> None:
        client, opened = socket.socketpair()
        opened.setblocking(False)
        loop = asyncio.get_running_loop()
        connection = Connection(
            *(opened, PlainWire(), "a", Site({}), Meter(), Unasked(), Unasked()),
            Limits(request_s=3_600, pieces=5),
            lambda _: None,
        )
        with client:
            serving = loop.create_task(connection.serve())
            for _ in range(5):
                client.sendall(b"G")
                while select.select([opened], [], [], 0)[0]:
                    await asyncio.sleep(0)
                assert not serving.done()
            client.sendall(b"G")
            await asyncio.wait_for(serving, PATIENCE_S)

    asyncio.run(serve())


class Unasked:
    """Pages that nobody gets to."""

    async def answer(self, page: Page, request: Request) -> tuple[Answer, float]:
        raise AssertionError(page, request)


def test_a_further_request_has_its_own_time() -> None:
    limits = Limits(request_s=0.3, idle_s=60.0)
    with admin_rig(limits=limits) as rig, rig.connect() as client:
        client.sendall(ASK)
        assert client.recv(10_000).startswith(b"HTTP/1.1 200")
        time.sleep(0.6)
        client.sendall(ASK)
        assert client.recv(10_000).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /")
        assert ended(client)


def test_an_idle_client_is_cut_off() -> None:
    with admin_rig(limits=Limits(idle_s=0.2)) as rig, rig.connect() as client:
        client.sendall(ASK)
        answer = everything(client)
        assert answer.startswith(b"HTTP/1.1 200")


def test_huge_headers_are_refused() -> None:
    with admin_rig() as rig:
        for head in (
            b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 4_000 + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100 + b"\r\n",
        ):
            answer = rig.say(head)
            assert answer.startswith(b"HTTP/1.1 431 ")
            assert b"\r\nConnection: close\r\n" in answer


def test_content_is_refused_and_not_read() -> None:
    with admin_rig() as rig:
        for head in (
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx",
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        ):
            assert rig.say(head).startswith(b"HTTP/1.1 413 ")
        post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        assert rig.say(post).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(
    "head",
    [
        b"no HTTP at all\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_is_told_so(head: bytes) -> None:
    with admin_rig() as rig:
        answer = rig.say(head)
        status, _, rest = answer.partition(b"\r\n")
        assert status in (b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 405 Method Not Allowed")
        assert json.loads(rest.partition(b"\r\n\r\n")[2])["status"] == int(status[9:12])
        assert b"\r\nX-Frame-Options: DENY\r\n" in rest


def test_random_bytes_never_take_it_down(caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(26)
    with admin_rig() as rig:
        for _ in range(200):
            raw = bytearray(ASK * 2)
            for _ in range(chance.randrange(1, 12)):
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            with rig.connect() as client:
                client.sendall(raw[: chance.randrange(len(raw))])
                client.shutdown(socket.SHUT_WR)
                everything(client)
        assert rig.ask("/healthz").status == 200
    assert not caplog.records


def test_pipelined_requests_are_answered_in_their_order() -> None:
    with admin_rig() as rig:
        last = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = rig.say(ASK * 20 + last)
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 21
        assert answer.count(b'{"alive":true') == 20
        assert b"things_total 3.0" in answer.rpartition(b"HTTP/1.1")[2]


def test_a_connection_serves_so_many_requests_and_no_more() -> None:
    with admin_rig(limits=Limits(requests=3)) as rig:
        assert rig.say(ASK * 10).count(b"HTTP/1.1 200 OK\r\n") == 3


def test_http_1_0_is_answered_and_ended() -> None:
    with admin_rig() as rig:
        assert b"\r\n\r\n{" in rig.say(b"GET /healthz HTTP/1.0\r\n\r\n")


def test_a_client_that_never_reads_is_cut_off() -> None:
    def big(_: Request) -> Answer:
        return Answer(b"x" * 50_000_000, "text/plain")

    with admin_rig({"/big": big}, limits=Limits(write_s=0.3)) as rig, rig.connect() as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        while not sent_to(rig, client):
            time.sleep(0.01)
        assert rig.ask("/healthz").status == 200
        # What the kernel held is dropped as well, by a reset.
        while not is_reset(client):
            time.sleep(0.01)


def sent_to(rig: AdminRig, client: socket.socket) -> bool:
    """Whether something of the answer has come."""
    del rig
    client.setblocking(False)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def is_reset(client: socket.socket) -> bool:
    """Whether the kernel has told of a reset."""
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def test_a_crowd_that_holds_connections_keeps_nobody_out() -> None:
    with admin_rig(limits=Limits(request_s=3_600)) as rig:
        crowd = [rig.connect("127.0.0.2") for _ in range(2 * guests.CONNECTIONS)]
        try:
            for client in crowd:
                client.sendall(b"GET /metr")
            assert rig.ask("/healthz").status == 200
            # The first of them had to go.
            assert ended(crowd[0])
        finally:
            for client in crowd:
                client.close()


def test_credentials_over_the_wire(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "credentials"
    file.write_text("prometheus:a-long-password\n")
    with admin_rig(credentials=file) as rig:
        for path in ("/", "/metrics", "/nothing"):
            reply = rig.ask(path)
            assert reply.status == 401
            assert reply.headers["WWW-Authenticate"].startswith("Basic realm=")
            assert b"things" not in reply.body
        good = {"Authorization": "Basic cHJvbWV0aGV1czphLWxvbmctcGFzc3dvcmQ="}
        assert rig.ask("/metrics", headers=good).status == 200
        assert rig.ask("/healthz").status == 200
        assert not caplog.records
        for _ in range(5):
            assert rig.ask("/", headers={"Authorization": "Basic secret-x"}).status == 401
    assert caplog.text.count("refused") == 1
    assert "secret-x" not in caplog.text


def test_what_was_read_is_looked_at_when_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that wait for bytes may get them at once: a place for reading is none for parsing."""
    waits = []

    async def may_read(_: Meter, client: str) -> None:
        waits.append(client)

    monkeypatch.setattr(Meter, "may_read", may_read)

    def count(_: Request) -> Answer:
        return Answer(str(len(waits)).encode(), "text/plain")

    with admin_rig({"/count": count}) as rig:
        assert rig.ask("/count").body == b"2"
