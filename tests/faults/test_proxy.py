"""The proxy: what passes, what is held back, and what arrives late."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.fakes import eventually
from tests.faults.proxy import Api, Proxy


class Echo:
    """A server that notes the requests that reach it and answers each with its number."""

    def __init__(self) -> None:
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
                connection.sendall(struct.pack(">ii", 4, number))


class Client:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._socket = socket.create_connection(("127.0.0.1", proxy.port), 10)

    def ask(self, api: Api, number: int) -> None:
        self._socket.sendall(struct.pack(">ihhi", 8, api, 0, number))

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
