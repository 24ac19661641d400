"""The template: a process that loads what workers share, and then does nothing but fork them.

What is forked shares the memory of the template until one of them writes to it. So a CPU holds the
weights once, and a worker that is started again is there at once. The template itself computes
nothing after the fork, has one thread, and knows no broker: no thread and no connection of it could
be missing in a worker. On a GPU each worker loads its own, since a device's context cannot be
forked; then the template has only imported the libraries.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import TypeAlias

from consumer.app import loaded_taggers
from consumer.contracts.errors import NerstreamError
from consumer.contracts.ports import Tagger
from consumer.settings.schema import Settings
from consumer.supervisor.wire import Fork, Forked, Load, Loaded, Look, NotLoaded, Seen, ToTemplate
from consumer.telemetry.logs import configure_logging

#: Loads the tagger in the place of the model that the settings name; for tests. It can be pickled.
LoadTagger: TypeAlias = Callable[[Settings], Tagger]


class TemplateProcess:
    """What runs in the template. One thread.

    Args:
        pipe: to the supervisor.
        load: None loads the model that the settings name.
    """

    def __init__(self, pipe: Connection, load: LoadTagger | None) -> None:
        self._pipe = pipe
        self._load = load
        self._tagger: Tagger | None = None

    def serve(self) -> None:
        """Until the supervisor is gone."""
        while True:
            try:
                asked: ToTemplate = self._pipe.recv()
            except (EOFError, OSError):
                return
            # The supervisor may be gone by the time of the answer.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                match asked:
                    case Look(device):
                        self._pipe.send(Seen(self._device(device)))
                    case Load(settings, is_shared):
                        self._pipe.send(self._loaded(settings, is_shared))
                    case Fork():
                        self._fork(asked)

    def _device(self, device: str) -> str:
        if self._load is not None or device == "cpu":
            return "cpu"
        from consumer.tagging.model.device import kind_without_context

        return kind_without_context(device)

    def _loaded(self, settings: Settings, is_shared: bool) -> Loaded | NotLoaded:
        started = time.monotonic()
        try:
            if is_shared:
                load = self._load or loaded_taggers
                self._tagger = load(settings)
            elif self._load is None:
                # Here once, so that no worker has to.
                import consumer.tagging.tagger  # noqa: F401
        except NerstreamError as failure:
            return NotLoaded(str(failure), failure.exit_code)
        # No collection of a worker shall write to what all share.
        gc.collect()
        gc.freeze()
        return Loaded(time.monotonic() - started)

    def _fork(self, asked: Fork) -> None:
        descriptor = reduction.recv_handle(self._pipe)
        sys.stderr.flush()
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # The threads that are left compute; they wait for work, which never comes here.
            warnings.simplefilter("ignore", DeprecationWarning)
            between = os.fork()
        if between == 0:
            os.close(reading)
            worker = os.fork()
            if worker != 0:
                # The worker of a process that has ended goes to the supervisor.
                os.write(writing, str(worker).encode())
                os._exit(0)
            os.close(writing)
            self._pipe.close()
            self._become_worker(asked, descriptor)
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            pid = int(said.read())
        os.waitpid(between, 0)
        os.close(descriptor)
        self._pipe.send(Forked(asked.number, pid))

    def _become_worker(self, asked: Fork, descriptor: int) -> None:
        # Imported here, by who needs it; the template has no use for it.
        from consumer.supervisor.member import work

        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            code = work(asked.number, asked.settings, Connection(descriptor), self._tagger)
        finally:
            # Not the interpreter's end: what the template registered for it is not the worker's.
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(code)


def main() -> None:
    """The program: `python -c "..." NAME DESCRIPTOR`; what it is to do comes through the pipe."""
    # Both are the supervisor's matter; the template ends with its pipe.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[2])) as channel:
        pipe = Connection(os.dup(channel.fileno()))
    log_format, log_level, load = pickle.loads(pipe.recv_bytes())
    configure_logging(log_format, log_level)
    TemplateProcess(pipe, load).serve()
