"""Connection: HTTP/1.1 over one socket, with a limit on everything that the client decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

import h11

from consumer.telemetry.admin.messages import Answer, Page, Request, error_answer
from consumer.telemetry.admin.meter import Meter
from consumer.telemetry.admin.site import Asked, Site, headers_of
from consumer.telemetry.admin.wire import Wire, WireFailed

log = logging.getLogger(__name__)

_PHRASES = {status.value: status.phrase for status in HTTPStatus}

#: Bytes that are read at once.
_PIECE = 8 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take.

    Attributes:
        request_s: seconds from a connection, or from the first byte of a further request, until
            the request is whole, the handshake of TLS included.
        idle_s: seconds that a connection may wait for a further request. Longer than the minute
            between two scrapes, so that each need not connect anew.
        turn_s: seconds that a request may wait for its turn.
        page_s: seconds that a page may take.
        write_s: seconds that a client may take to read its answer.
        header_bytes: of request line and headers together.
        pieces: reads that one request may come in; else each byte could come by itself, and
            wake the worker for it.
        requests: that one connection serves.
    """

    request_s: float = 10.0
    idle_s: float = 75.0
    turn_s: float = 10.0
    page_s: float = 10.0
    write_s: float = 30.0
    header_bytes: int = 16 * 1024
    pieces: int = 64
    requests: int = 1_000


class AnswersPages(Protocol):
    """Calls a page somewhere."""

    async def answer(self, page: Page, request: Request) -> tuple[Answer, float]:
        """The page's answer, and the seconds of the processor that it cost."""
        ...


class _Ended(Exception):
    """There is nobody to answer."""


class Connection:
    """Answers one client, one request after the other.

    Args:
        client: on whose account it goes.
        pages, probes: call the pages of each kind.
        answering: told when a request begins to be answered, and when one is waited for again.
    """

    def __init__(
        self,
        opened: socket.socket,
        wire: Wire,
        client: str,
        site: Site,
        meter: Meter,
        pages: AnswersPages,
        probes: AnswersPages,
        limits: Limits,
        answering: Callable[[bool], None],
    ) -> None:
        self._socket = opened
        self._wire = wire
        self._client = client
        self._site = site
        self._meter = meter
        self._pages = pages
        self._probes = probes
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
        self._pieces = 0
        self._has_begun = True
        self._is_head = False
        self._answering = answering

    async def serve(self) -> None:
        """Until the client, a limit or an error ends it. The socket is closed then."""
        try:
            with contextlib.suppress(WireFailed):
                for _ in range(self._limits.requests):
                    if not await self._serve_one():
                        break
            await self._close_kindly()
        except (OSError, _Ended, TimeoutError):
            # The client went away, or is told so by the end of the connection.
            pass
        except Exception:
            log.exception("the admin port failed on a connection of %s", self._client)
        finally:
            self._socket.close()

    async def _serve_one(self) -> bool:
        """Read and answer one request; false where it is the last of the connection."""
        self._is_head = False
        try:
            request, has_body = await self._request()
        except h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint)
            if status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
                failed = self._too_long()
            else:
                failed = error_answer(status, f"the request is not valid: {error}")
            await self._send(await self._in_turn(failed), is_last=True)
            return False
        self._answering(True)
        try:
            method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
            self._is_head = method == "HEAD"
            headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
            if _size(request) > self._limits.header_bytes:
                decided: Asked | Answer = self._too_long()
            else:
                decided = self._site.decide(method, target, headers, has_body=has_body)
            if isinstance(decided, Answer):
                # An error costs its sender's time as well; else it would be the cheaper flood.
                answer = await self._in_turn(decided)
                await self._send(answer, is_last=True)
                return False
            answer = await self._in_turn(decided)
            await self._send(answer)
        finally:
            self._answering(False)
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._pieces = 0
        self._has_begun = bool(self._http.trailing_data[0])
        return True

    def _too_long(self) -> Answer:
        return error_answer(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the headers have more than {self._limits.header_bytes:,} bytes",
        )

    async def _request(self) -> tuple[h11.Request, bool]:
        """The next request, and whether it has content, which is not read."""
        limits = self._limits
        wait_s = limits.request_s if self._has_begun else limits.idle_s
        async with asyncio.timeout(wait_s) as deadline:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if await self._read() and not self._has_begun:
                    self._has_begun = True
                    deadline.reschedule(self._loop.time() + limits.request_s)
        if not isinstance(event, h11.Request):
            raise _Ended
        return event, not isinstance(self._http.next_event(), h11.EndOfMessage)

    async def _read(self) -> bool:
        """Whether HTTP goes on; not where the bytes were of the handshake's."""
        self._pieces += 1
        if self._pieces > self._limits.pieces:
            raise _Ended
        await self._meter.may_read(self._client)
        raw = await self._loop.sock_recv(self._socket, _PIECE)
        if not raw:
            self._http.receive_data(b"")
            return True
        # It may have waited for long, and all the others with it; what was read costs most now.
        await self._meter.may_read(self._client)
        try:
            plain = self._wire.receive(raw)
            if plain:
                self._http.receive_data(plain)
        finally:
            self._meter.charge(self._client)
            # The handshake's part of ours, or the alert that says what is wrong with theirs.
            if out := self._wire.to_send():
                await self._loop.sock_sendall(self._socket, out)
        # A socket that always has more would not let the others go on.
        await asyncio.sleep(0)
        return bool(plain)

    async def _in_turn(self, asked: Asked | Answer) -> Answer:
        is_probe = isinstance(asked, Asked) and asked.is_probe
        try:
            async with asyncio.timeout(self._limits.turn_s):
                advance_s = await self._meter.turn(self._client, is_probe=is_probe)
        except TimeoutError:
            return error_answer(
                HTTPStatus.TOO_MANY_REQUESTS, "too much is asked at once", {"Retry-After": "10"}
            )
        if isinstance(asked, Answer):
            self._meter.charge_elsewhere(self._client, -advance_s)
            return asked
        threads = self._probes if asked.is_probe else self._pages
        try:
            async with asyncio.timeout(self._limits.page_s):
                answer, cost_s = await threads.answer(asked.page, asked.request)
        except TimeoutError:
            return error_answer(
                HTTPStatus.SERVICE_UNAVAILABLE, f"no answer within {self._limits.page_s:g} s"
            )
        except Exception:
            log.exception("the page %s failed", asked.request.path)
            return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the page failed; see the log")
        if is_probe:
            self._meter.charge_elsewhere(self._client, cost_s)
        else:
            self._meter.charge_page(self._client, cost_s, advance_s)
        return answer

    async def _send(self, answer: Answer, *, is_last: bool = False) -> None:
        last = [("Connection", "close")] if is_last else []
        headers = [*headers_of(answer), ("Date", formatdate(usegmt=True)), *last]
        try:
            response = h11.Response(
                status_code=answer.status, headers=headers, reason=_PHRASES.get(answer.status, "")
            )
        except h11.LocalProtocolError:
            log.exception("a page gave headers that are none")
            failed = error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the page failed; see the log")
            await self._send(failed, is_last=is_last)
            return
        parts = [self._http.send(response)]
        if not self._is_head:
            parts.append(self._http.send(h11.Data(data=answer.body)))
        parts.append(self._http.send(h11.EndOfMessage()))
        self._wire.send(b"".join(part for part in parts if part))
        out = self._wire.to_send()
        self._meter.charge(self._client)
        try:
            async with asyncio.timeout(self._limits.write_s):
                await self._loop.sock_sendall(self._socket, out)
        except TimeoutError:
            # Else the kernel would keep what was not read, for minutes.
            at_once = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            raise

    async def _close_kindly(self) -> None:
        """Let the client read the last answer: to close with its bytes unread would take it back.

        What it still sends is thrown away, for a moment.
        """
        async with asyncio.timeout(1.0):
            self._wire.end()
            await self._loop.sock_sendall(self._socket, self._wire.to_send())
            self._socket.shutdown(socket.SHUT_WR)
            for _ in range(self._limits.pieces):
                await self._meter.may_read(self._client)
                if not await self._loop.sock_recv(self._socket, _PIECE):
                    break


def _size(request: h11.Request) -> int:
    """Bytes of the request line and the headers, about."""
    return len(request.target) + sum(
        len(name) + len(value) + len(": \r\n") for name, value in request.headers
    )
