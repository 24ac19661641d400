"""EncoderProcesses: tokenising in processes beside the worker's own.

A tokenizer works outside the interpreter's lock, but what it found is fetched under it, which is
more than half of what a worker does in Python for an article. On a GPU that is what bounds one
worker: docs/decisions/0013.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import pickle
import weakref
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue

from consumer.errors import TokenizerFailed
from consumer.tagging.encoder_process import (
    EncoderSpec,
    Failed,
    PackedEncodings,
    ignore_signals,
    serve,
    unpack,
)
from consumer.tagging.encoding import ArticleEncoding

#: Processes that a call may outlive before its texts are given up. One may be killed for want of
#: memory that another program took; three in a row are the text's doing, or nothing works.
_ATTEMPTS = 3

#: Seconds that a process may take to begin: it imports numpy and reads the tokenizer.
_BEGIN_S = 60.0

#: Seconds for a process that was told to end.
_END_S = 5.0

#: What no tokenizer stumbles over.
_HARMLESS = [["a"]]

_log = logging.getLogger(__name__)

#: What a process runs.
Serve = Callable[[Connection, EncoderSpec], None]


class TextsEndTheProcess(Exception):
    """Tokenising these texts ended every process that tried, and other texts did not."""


class EncoderProcesses:
    """An encoder in some processes. Any threads; as many calls run at once as there are processes.

    The processes end with `close`, with this object, or with the interpreter, however that ends.

    Args:
        spec: the encoder.
        count: processes; all have begun when this returns.
        serve: what they run.

    Raises:
        TokenizerFailed: they do not begin.
    """

    def __init__(self, spec: EncoderSpec, count: int, serve: Serve = serve) -> None:
        self.count = count
        processes: list[_Process] = []
        spec_bytes = pickle.dumps(spec, protocol=5)
        # Ended whatever happens, also where one does not begin. At the interpreter's end this comes
        # before multiprocessing's own handler, which would wait for processes that still have
        # their pipe: handlers run in the reverse order, and its was there before.
        self._end = weakref.finalize(self, _end, processes)
        self._end.atexit = False
        atexit.register(self._end)
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        try:
            # All are started before the first is waited for, and told what to do before the first
            # has done it: so their imports and tokenizers are loaded side by side.
            for _ in range(count):
                processes.append(_Process(spec_bytes, serve))
            for process in processes:
                process.instruct()
            for process in processes:
                process.begun()
                self._idle.put(process)
        except TokenizerFailed:
            self.close()
            raise

    def encode(self, articles: Sequence[Sequence[str]]) -> list[ArticleEncoding]:
        """As `Encoder.encode`. Blocks until a process has done it.

        A process that ends meanwhile is replaced, and the call made again.

        Raises:
            TextsEndTheProcess: three processes in a row ended.
            RuntimeError: what the tokenizer said.
            TokenizerFailed: no process lives long enough, whatever the texts.
        """
        call = pickle.dumps(articles, protocol=5)
        process = self._idle.get()
        try:
            answer = _answer(process, call)
        finally:
            self._idle.put(process)
        # Here, so that the process works for another thread meanwhile.
        found: PackedEncodings | Failed = pickle.loads(answer)
        if isinstance(found, Failed):
            raise RuntimeError(found.message)
        return unpack(found)

    def close(self) -> None:
        """End the processes. No call may be under way."""
        self._end()
        atexit.unregister(self._end)


def _answer(process: _Process, call: bytes) -> bytes:
    for attempt in range(1, _ATTEMPTS + 1):
        answer = process.ask(call)
        if answer is not None:
            return answer
        _log.warning(
            "a process that tokenises ended (%s), a new one takes its place", process.ending
        )
        process.replace()
        if attempt == _ATTEMPTS and process.ask(pickle.dumps(_HARMLESS, protocol=5)) is None:
            raise TokenizerFailed(
                f"processes that tokenise end by themselves ({process.ending}); give them memory, "
                "or set tokenizer_processes to 0"
            )
    raise TextsEndTheProcess(f"tokenising ended {_ATTEMPTS} processes in a row")


def _end(processes: Iterable[_Process]) -> None:
    for process in processes:
        process.close()
    for process in processes:
        process.join()


def _serve(connection: Connection, serve: Serve) -> None:
    """The process: the encoder comes first."""
    ignore_signals()
    try:
        spec: EncoderSpec = pickle.loads(connection.recv_bytes())
    except (EOFError, ConnectionResetError):
        return  # the worker has ended
    serve(connection, spec)


class _Process:
    """One process and this end of its pipe. One thread at a time."""

    def __init__(self, spec: bytes, serve: Serve) -> None:
        self._spec = spec
        self._serve = serve
        self._process: BaseProcess | None = None
        self._begin()

    @property
    def ending(self) -> str:
        """How the last process ended, for a person."""
        return self._ending

    def instruct(self) -> None:
        """Send it the encoder; blocks until it reads that."""
        # One that has ended is found out by `begun`.
        with contextlib.suppress(OSError):
            self._connection.send_bytes(self._spec)

    def begun(self) -> None:
        """Wait until it is ready.

        Raises:
            TokenizerFailed: it ended, or takes too long.
        """
        with contextlib.suppress(EOFError, OSError):
            if self._connection.poll(_BEGIN_S):
                self._connection.recv_bytes()
                return
        self._finish()
        raise TokenizerFailed(
            f"a process that tokenises does not begin ({self.ending}); give it memory, or set "
            "tokenizer_processes to 0"
        )

    def ask(self, call: bytes) -> bytes | None:
        """The answer to a call, or None if the process ended."""
        try:
            self._connection.send_bytes(call)
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            self._finish()
            return None

    def replace(self) -> None:
        """Begin a new process in the place of one that ended.

        Raises:
            TokenizerFailed: it does not begin.
        """
        self._begin()
        self.instruct()
        self.begun()

    def close(self) -> None:
        """Tell it to end."""
        self._connection.close()

    def join(self) -> None:
        """Wait until it has ended."""
        if self._process is None:
            return
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _begin(self) -> None:
        # A new interpreter: a copy of this one would have its locks, and a device's context. Its
        # arguments are few: more than a pipe holds, `start` would wait until it reads them.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, self._serve), name="nerstream-tokenize", daemon=True
        )
        self._process = None
        self._ending = "it could not be started"
        try:
            process.start()
        except OSError as error:
            self._connection.close()
            raise TokenizerFailed(
                f"a process that tokenises cannot be started ({error}); allow more processes, or "
                "set tokenizer_processes to 0"
            ) from error
        finally:
            # With the other end open here too, this one would never see the process end.
            theirs.close()
        self._process = process

    def _finish(self) -> None:
        """Let go a process that has ended, or that is of no use."""
        self.close()
        if self._process is None:
            return
        self._process.join(_END_S)
        code = self._process.exitcode
        self.join()
        if code is None:
            self._ending = "it was stopped"
        else:
            self._ending = f"signal {-code}" if code < 0 else f"exit code {code}"
