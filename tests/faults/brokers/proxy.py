"""A TCP proxy before a broker that knows where a Kafka request begins and what it is.

A proxy of bytes alone, such as toxiproxy, can cut and slow a connection; it cannot hold back the
answer to one kind of request, which is what makes the outcome of a transaction unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from enum import IntEnum
from typing import Any, Self, TypeVar

from tests.faults.brokers.metadata import names_no_broker, without_brokers

T = TypeVar("T")

#: Seconds that a connection without a client stays open after its late requests were sent.
_LATE_S = 2.0


class Api(IntEnum):
    """Kinds of requests, by their keys in Kafka's protocol."""

    PRODUCE = 0
    FETCH = 1
    METADATA = 3
    OFFSET_COMMIT = 8
    HEARTBEAT = 12
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


class Proxy:
    """Listens on the loopback and passes on to one address; its faults are set from any thread.

    Args:
        port: where it listens; 0 takes a free one.
        target_port: of the broker, on the loopback.
    """

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.refusing = False
        #: Answers to Metadata requests name no broker.
        self.hides_brokers = False
        #: An answer that names none does not arrive; its connection breaks instead.
        self.shelters = False
        #: Seconds that every chunk waits in each direction.
        self.delay_s = 0.0
        #: Requests of these kinds are held back on their way to the broker.
        self.held_requests: frozenset[Api] = frozenset()
        #: Answers to requests of these kinds are held back on their way to the client.
        self.held_answers: frozenset[Api] = frozenset()
        #: Requests that passed or were held, by kind.
        self.requests: dict[int, int] = {}
        #: Frames that are held back now, or were when their client went.
        self.held = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Close every connection now."""
        self._call(self._cut())

    def release(self) -> None:
        """Hold nothing back any more, and let what was held arrive, however late."""
        self.held_requests = self.held_answers = frozenset()
        self._call(self._release())

    def heal(self) -> None:
        """No fault from now on; connections that hold something back are cut, it is lost."""
        self.refusing = self.hides_brokers = self.shelters = False
        self.delay_s = 0.0
        self.held_requests = self.held_answers = frozenset()
        self._call(self._forget())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _shut_down(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut(self) -> None:
        for connection in tuple(self._connections):
            connection.cut()

    async def _release(self) -> None:
        for connection in tuple(self._connections):
            connection.release()
        self.held = 0

    async def _forget(self) -> None:
        for connection in tuple(self._connections):
            if connection.holds:
                connection.end()
        self.held = 0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.close()
            return
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.close()
            return
        connection = _Connection(self, (reader, writer), upstream)
        self._connections.add(connection)
        # Cancelled, as the proxy ends, the task would be told of as failed.
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await connection.run()
            finally:
                self._connections.discard(connection)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One client's connection and its twin to the broker."""

    def __init__(self, proxy: Proxy, client: Stream, broker: Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._kinds: dict[int, tuple[int, int]] = {}
        self._held_requests: list[bytes] = []
        self._held_answers: list[bytes] = []
        self._client_gone = False

    @property
    def holds(self) -> bool:
        """Whether it holds a frame back."""
        return bool(self._held_requests or self._held_answers)

    async def run(self) -> None:
        """Until both ends are closed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._up())
            tasks.create_task(self._down())

    def cut(self) -> None:
        """The client sees the connection break. What is held back stays for `release`."""
        self._client_gone = True
        self._client[1].close()
        if not self._held_requests:
            self._broker[1].close()

    def end(self) -> None:
        """Both ends see it break, what is held back is gone."""
        self._held_requests.clear()
        self._held_answers.clear()
        self.cut()

    def release(self) -> None:
        """Send on what was held back."""
        for frame in self._held_requests:
            self._broker[1].write(frame)
        if not self._client_gone:
            for frame in self._held_answers:
                self._client[1].write(frame)
        if self._client_gone and self._held_requests:
            # Its answer has nobody to go to; the broker gets a moment to take it.
            asyncio.get_running_loop().call_later(_LATE_S, self._broker[1].close)
        self._held_requests.clear()
        self._held_answers.clear()

    async def _up(self) -> None:
        proxy = self._proxy
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(self._client[0])
                kind = int.from_bytes(frame[4:6], "big")
                proxy.requests[kind] = proxy.requests.get(kind, 0) + 1
                version = int.from_bytes(frame[6:8], "big")
                self._kinds[int.from_bytes(frame[8:12], "big")] = kind, version
                if proxy.delay_s:
                    await asyncio.sleep(proxy.delay_s)
                # A later request may not overtake one that is held back.
                if self._held_requests or kind in proxy.held_requests:
                    self._held_requests.append(frame)
                    proxy.held += 1
                    continue
                self._broker[1].write(frame)
                await self._broker[1].drain()
        self._client_gone = True
        if not self._held_requests:
            self._broker[1].close()

    async def _down(self) -> None:
        proxy = self._proxy
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(self._broker[0])
                kind, version = self._kinds.pop(int.from_bytes(frame[4:8], "big"), (-1, 0))
                if kind == Api.METADATA:
                    if proxy.hides_brokers:
                        frame = without_brokers(frame, version)
                    elif proxy.shelters and names_no_broker(frame, version):
                        break
                if proxy.delay_s:
                    await asyncio.sleep(proxy.delay_s)
                if self._held_answers or kind in proxy.held_answers:
                    self._held_answers.append(frame)
                    proxy.held += 1
                    continue
                if not self._client_gone:
                    self._client[1].write(frame)
                    await self._client[1].drain()
        self._client[1].close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """A whole request or answer, with the four bytes of its length."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "big"))
