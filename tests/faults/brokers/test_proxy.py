"""The proxy: what passes, what is held back, and what arrives late."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.faults.brokers.proxy import Api, Proxy
from tests.support.fakes import eventually


class Echo:
    """A server that notes the requests that reach it and answers each with its number, and what
    else it was told."""

    def __init__(self) -> None:
        self.body = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.reached: list[int] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while (frame := _frame(connection)) is not None:
                number = struct.unpack_from(">i", frame, 4)[0]
                self.reached.append(number)
                connection.sendall(struct.pack(">ii", 4 + len(self.body), number) + self.body)


class Client:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._socket = socket.create_connection(("127.0.0.1", proxy.port), 10)

    def ask(self, api: Api, number: int, version: int = 0) -> None:
        self._socket.sendall(struct.pack(">ihhi", 8, api, version, number))

    def whole_answer(self) -> bytes | None:
        """The next answer without its length; None when the connection has ended."""
        self._socket.settimeout(10.0)
        return _frame(self._socket)

    def answer(self, timeout_s: float = 10.0) -> int | None:
        """The number of the next answer; None when the connection has ended."""
        self._socket.settimeout(timeout_s)
        frame = _frame(self._socket)
        return None if frame is None else int(struct.unpack(">i", frame)[0])

    def close(self) -> None:
        self._socket.close()


def _frame(connection: socket.socket) -> bytes | None:
    try:
        head = connection.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return None
        return connection.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL)
    except ConnectionError:
        return None


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(0, echo.port) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    connection = Client(proxy)
    yield connection
    connection.close()


def test_requests_and_answers_pass(client: Client, proxy: Proxy) -> None:
    client.ask(Api.PRODUCE, 1)
    client.ask(Api.END_TXN, 2)
    assert [client.answer(), client.answer()] == [1, 2]
    assert proxy.requests == {Api.PRODUCE: 1, Api.END_TXN: 1}


def test_an_answer_is_held_back_though_the_request_arrived(
    client: Client, proxy: Proxy, echo: Echo
) -> None:
    proxy.held_answers = frozenset({Api.END_TXN})
    client.ask(Api.PRODUCE, 1)
    assert client.answer() == 1
    client.ask(Api.END_TXN, 2)
    eventually(lambda: proxy.held == 1, "the answer is held")
    assert echo.reached == [1, 2]
    with pytest.raises(TimeoutError):
        client.answer(0.2)
    proxy.release()
    assert client.answer() == 2


def test_a_request_is_held_back_and_nothing_overtakes_it(
    client: Client, proxy: Proxy, echo: Echo
) -> None:
    proxy.held_requests = frozenset({Api.END_TXN})
    client.ask(Api.END_TXN, 1)
    client.ask(Api.PRODUCE, 2)
    eventually(lambda: proxy.held == 2, "both are held")
    assert echo.reached == []
    proxy.release()
    assert [client.answer(), client.answer()] == [1, 2]


def test_a_request_arrives_after_its_client_has_gone(
    client: Client, proxy: Proxy, echo: Echo
) -> None:
    proxy.held_requests = frozenset({Api.END_TXN})
    client.ask(Api.END_TXN, 1)
    eventually(lambda: proxy.held == 1, "the request is held")
    proxy.cut()
    assert client.answer() is None
    assert echo.reached == []
    proxy.release()
    eventually(lambda: echo.reached == [1], "the request arrives late")


def test_healing_loses_what_was_held(client: Client, proxy: Proxy, echo: Echo) -> None:
    proxy.held_requests = frozenset({Api.END_TXN})
    client.ask(Api.END_TXN, 1)
    eventually(lambda: proxy.held == 1, "the request is held")
    proxy.heal()
    assert client.answer() is None
    again = Client(proxy)
    again.ask(Api.END_TXN, 2)
    assert again.answer() == 2
    again.close()
    assert echo.reached == [2]


def test_no_connection_while_it_refuses(proxy: Proxy) -> None:
    proxy.refusing = True
    refused = Client(proxy)
    assert refused.answer() is None
    refused.close()
    proxy.heal()
    welcome = Client(proxy)
    welcome.ask(Api.FETCH, 7)
    assert welcome.answer() == 7
    welcome.close()


def metadata(*brokers: tuple[int, str, str | None]) -> bytes:
    """A MetadataResponse without its length and number, and with topics that nobody reads here:
    node, host and rack of each broker."""

    def text(value: str | None) -> bytes:
        return b"\x00" if value is None else bytes([len(value) + 1]) + value.encode()

    return b"".join(
        [
            struct.pack(">bi", 0, 77),
            bytes([len(brokers) + 1]),
            *(
                struct.pack(">i", node) + text(host) + struct.pack(">i", 9092) + text(rack) + b"\0"
                for node, host, rack in brokers
            ),
            b"cluster and topics",
        ]
    )


def test_brokers_are_hidden(client: Client, proxy: Proxy, echo: Echo) -> None:
    echo.body = metadata((1, "a.example", None), (2, "b" * 100, "rack"))
    client.ask(Api.METADATA, 5, version=12)
    assert client.whole_answer() == struct.pack(">i", 5) + echo.body
    proxy.hides_brokers = True
    client.ask(Api.METADATA, 6, version=12)
    assert client.whole_answer() == struct.pack(">i", 6) + metadata()
    # No other kind of answer is touched.
    client.ask(Api.FETCH, 7, version=12)
    assert client.whole_answer() == struct.pack(">i", 7) + echo.body


def test_an_answer_without_brokers_is_kept_from_the_client(
    client: Client, proxy: Proxy, echo: Echo
) -> None:
    proxy.shelters = True
    echo.body = metadata((1, "a.example", None))
    client.ask(Api.METADATA, 1, version=12)
    assert client.whole_answer() == struct.pack(">i", 1) + echo.body
    echo.body = metadata()
    client.ask(Api.METADATA, 2, version=12)
    assert client.whole_answer() is None
