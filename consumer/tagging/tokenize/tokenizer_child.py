"""TokenizerChild: one process that tokenises, and this end of its pipe."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from consumer.contracts.child_program import start_program
from consumer.contracts.errors import TokenizerFailed
from consumer.tagging.tokenize.tokenizer_process import TokenizerSpec

#: Seconds that a process may take to begin: it imports numpy and reads the tokenizer.
_BEGIN_S = 60.0

#: Seconds for a process that was told to end.
_END_S = 5.0

_PROGRAM = "from consumer.tagging.tokenize.tokenizer_process import main; main()"
_NAME = "nerstream-tokenize"

#: What a process runs once it has its specifications: a function that can be pickled.
Serve = Callable[[Connection, Sequence[TokenizerSpec]], None]


class TokenizerChild:
    """A process that ends with its pipe. One thread at a time.

    Args:
        specs: its tokenizers.
        serve: what it runs.

    Raises:
        TokenizerFailed: it cannot be started.
    """

    def __init__(self, specs: Sequence[TokenizerSpec], serve: Serve) -> None:
        self._task = pickle.dumps((serve, specs), protocol=5)
        self._process: subprocess.Popen[bytes] | None = None
        self._begin()

    @property
    def ending(self) -> str:
        """How the last process ended, for a person."""
        return self._ending

    @property
    def pid(self) -> int | None:
        """Of the process that was started last, until it is known to have ended."""
        return self._process.pid if self._process is not None else None

    def instruct(self) -> None:
        """Send it the tokenizers; blocks until it reads that."""
        # One that has ended is found out by `begun`.
        with contextlib.suppress(OSError):
            self._connection.send_bytes(self._task)

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
        """Wait until it has ended; one that does not is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _begin(self) -> None:
        self._process = None
        self._ending = "it could not be started"
        try:
            self._process, self._connection = start_program(_PROGRAM, _NAME)
        except OSError as error:
            raise TokenizerFailed(
                f"a process that tokenises cannot be started ({error}); allow more processes, or "
                "set tokenizer_processes to 0"
            ) from error

    def _finish(self) -> None:
        """Let go a process that has ended, or that is of no use."""
        self.close()
        process = self._process
        if process is None:
            return
        try:
            code: int | None = process.wait(_END_S)
        except subprocess.TimeoutExpired:
            code = None
        self.join()
        if code is None:
            self._ending = "it was stopped"
        else:
            self._ending = f"signal {-code}" if code < 0 else f"exit code {code}"
