"""AdminServer: listens for those who ask the worker, on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from prometheus_client import CollectorRegistry

from consumer.contracts.errors import SettingsError
from consumer.telemetry.admin.allowance import client_of
from consumer.telemetry.admin.answering_thread import AnsweringThread
from consumer.telemetry.admin.changing_file import ChangingFile
from consumer.telemetry.admin.connection import Connection, Limits
from consumer.telemetry.admin.credentials import read_credentials
from consumer.telemetry.admin.guests import Guests
from consumer.telemetry.admin.kept_out import KeptOut
from consumer.telemetry.admin.messages import Page
from consumer.telemetry.admin.meter import Meter
from consumer.telemetry.admin.pages import PROBES, health_page, index_page, metrics_page
from consumer.telemetry.admin.site import Site
from consumer.telemetry.admin.wire import PlainWire, TlsWire, tls_context
from consumer.telemetry.health import Health

log = logging.getLogger(__name__)

#: Connections that the kernel keeps until they are accepted.
_BACKLOG = 1_024

#: Connections that are accepted at once: all that the kernel keeps, since a probe may be the last
#: of them. And seconds between two looks while there are too many.
_ACCEPTED_AT_ONCE = _BACKLOG
_FLOOD_WAIT_S = 0.02

#: Seconds until the next try, where the process has no file left for a connection.
_NO_FILE_WAIT_S = 1.0

#: Errors of a connection that ended before it was accepted.
_GONE = (errno.ECONNABORTED, errno.EPROTO, errno.EINTR)

#: Seconds between two log lines about wrong credentials.
_REFUSED_EVERY_S = 60.0


class AdminServer:
    """Serves the metrics and the health of a worker, and further pages.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        registry: what `/metrics` shows.
        health: asked at each `/healthz` and `/readyz`, on a thread of the server; must be quick.
        pages: further pages by path; one for `/` replaces the list of what is here.
        tls: files of the certificate and of its key, in PEM; read again when they change.
        credentials: file with what lets a client in; read again when it changes. None lets
            everybody in.
        limits: what one connection may take.

    Raises:
        SettingsError: the address cannot be listened on (port in use, no such address, no
            permission), or a file cannot be used. The port is taken here, before the model is
            loaded, not in `start`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        health: Callable[[], Health],
        pages: Mapping[str, Page] | None = None,
        *,
        tls: tuple[Path, Path] | None = None,
        credentials: Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        now = time.monotonic()
        self._tls: ChangingFile[ssl.SSLContext] | None = None
        if tls is not None:
            certificate, key = tls
            self._tls = ChangingFile(tls, lambda: tls_context(certificate, key), now)
        admitted = None
        if credentials is not None:
            file = credentials
            known = ChangingFile([file], lambda: read_credentials(file), now)
            admitted = lambda: known.value(time.monotonic())  # noqa: E731
        probes = {path: health_page(health, question) for path, question in PROBES.items()}
        all_pages = {"/": index_page, "/metrics": metrics_page(registry), **(pages or {}), **probes}
        self._site = Site(all_pages, admitted, self._refused)
        self._refused_at = now - _REFUSED_EVERY_S
        self._refusals = 0
        self._limits = limits or Limits()
        self._listener = _listen(host, port)
        self._port = int(self._listener.getsockname()[1])
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None
        self._began = threading.Event()

    @property
    def port(self) -> int:
        """The port in use."""
        return self._port

    def start(self) -> None:
        """Begin to answer. Returns at once."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="admin", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port. Blocks for a moment; may be called twice."""
        if self._thread is not None:
            # Where the thread could not begin, there is nothing to stop.
            while self._thread.is_alive() and not self._began.wait(0.05):
                pass
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._stop()
            self._thread.join()
            self._thread = None
        self._listener.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        accepting = loop.create_task(self._accept())
        self._stop = lambda: loop.call_soon_threadsafe(accepting.cancel)
        self._began.set()
        # All other tasks are cancelled, and with them all connections, when this one returns.
        try:
            await accepting
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("the admin port answers no more")

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        meter, guests, kept_out = Meter(), Guests(), KeptOut(self._listener)
        numbers = itertools.count()
        tasks: dict[int, asyncio.Task[None]] = {}
        with (
            closing(AnsweringThread("admin-probes")) as probes,
            closing(AnsweringThread("admin-pages")) as pages,
        ):
            while True:
                await meter.may_accept()
                newcomers = await self._newcomers()
                for _, client in newcomers[:1]:
                    meter.charge(client)
                is_short = meter.is_short()
                crowds: set[str] = set()
                for opened, client in newcomers:
                    if is_short and guests.is_crowd(client):
                        opened.close()
                        crowds.add(client)
                        continue
                    opened.setblocking(False)
                    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    number = next(numbers)
                    leaving = guests.enter(number, client)
                    if leaving is not None:
                        tasks[leaving].cancel()
                    connection = Connection(
                        opened,
                        PlainWire() if self._tls is None else TlsWire(self._tls.value(loop.time())),
                        client,
                        self._site,
                        meter,
                        pages,
                        probes,
                        self._limits,
                        functools.partial(guests.answering, number),
                    )
                    task = tasks[number] = loop.create_task(connection.serve())

                    def ended(
                        _: asyncio.Task[None], number: int = number, opened: socket.socket = opened
                    ) -> None:
                        guests.leave(number)
                        del tasks[number]
                        # Still open where the task was cancelled before it began.
                        opened.close()

                    task.add_done_callback(ended)
                if crowds and kept_out.keep_out(crowds, loop.time()):
                    _let_in_later(loop, kept_out)
                # A queue that always has more would not let the others go on; and under a flood
                # many are turned away for the price of one waking.
                await asyncio.sleep(_FLOOD_WAIT_S if meter.is_short() else 0)

    async def _newcomers(self) -> list[tuple[socket.socket, str]]:
        """The connections that wait, some at most, with their clients. Where there is none, none
        comes back once there is one."""
        newcomers: list[tuple[socket.socket, str]] = []
        # Not by `sock_accept`, which loses what it accepts in the moment in which it is cancelled.
        try:
            while len(newcomers) < _ACCEPTED_AT_ONCE:
                opened, address = self._listener.accept()
                newcomers.append((opened, client_of(address[0])))
        except BlockingIOError:
            if not newcomers:
                await self._somebody()
        except OSError as error:
            # The client is gone again; or there is no file or memory left, for now. Where others
            # have come before, the next call meets that too.
            if error.errno not in _GONE and not newcomers:
                log.error("the admin port cannot accept a connection: %s", error)
                await asyncio.sleep(_NO_FILE_WAIT_S)
        return newcomers

    async def _somebody(self) -> None:
        """Until a connection waits to be accepted."""
        loop = asyncio.get_running_loop()
        here = asyncio.Event()
        loop.add_reader(self._listener, here.set)
        try:
            await here.wait()
        finally:
            loop.remove_reader(self._listener)

    def _refused(self) -> None:
        """Log wrong credentials, rarely: the one who sends them decides how often."""
        self._refusals += 1
        now = time.monotonic()
        if now - self._refused_at >= _REFUSED_EVERY_S:
            log.warning("the admin port refused %d requests with wrong credentials", self._refusals)
            self._refused_at, self._refusals = now, 0


def _let_in_later(loop: asyncio.AbstractEventLoop, kept_out: KeptOut) -> None:
    """Hear those again who are kept out, each when its time is over, though nobody else comes."""
    wait_s = kept_out.let_in(loop.time())
    if wait_s is not None:
        loop.call_later(wait_s, _let_in_later, loop, kept_out)


def _listen(host: str, port: int) -> socket.socket:
    """The socket that listens, on an address that needs no look-up of names but its own.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _settings_error(host, port, error) from error
    return listener


def _settings_error(host: str, port: int, error: OSError) -> SettingsError:
    """Says which setting is to blame."""
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            "admin_port",
            f"port {port} on {host} is already in use",
            "choose another, or 0 to take a free one",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return SettingsError(
            "admin_port", f"port {port} may not be opened", "choose one from 1024 up"
        )
    return SettingsError(
        "admin_host",
        f"{host!r} cannot be listened on ({error})",
        "use 0.0.0.0, 127.0.0.1 or an address of this machine",
    )
