"""Template: the supervisor's hold on the process that makes its workers."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import subprocess
import sys
from multiprocessing import reduction
from multiprocessing.connection import Connection

from consumer.contracts.errors import NerstreamError
from consumer.settings.schema import Settings
from consumer.supervisor.template import LoadTagger
from consumer.supervisor.wire import Fork, FromTemplate, Load, Look, ToTemplate

#: The program. After it come a name, for whoever lists processes, and the pipe.
_PROGRAM = "from consumer.supervisor.template import main; main()"
_NAME = "nerstream-template"

_PR_SET_CHILD_SUBREAPER = 36

#: Seconds for a template that was told to end.
_END_S = 5.0


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent has ended.

    Raises:
        NerstreamError: this system cannot do that.
    """
    if not sys.platform.startswith("linux"):
        raise NerstreamError(
            "--workers needs Linux; start the workers one by one here, with the same group_id"
        )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise NerstreamError(
            f"this system does not let a process adopt others ({os.strerror(ctypes.get_errno())}); "
            "start the workers one by one, with the same group_id"
        )


class Template:
    """Started when this is made; it ends with this process, however that ends.

    Args:
        settings: how to log.
        load: as for `TemplateProcess`.

    Raises:
        NerstreamError: it cannot be started.
    """

    def __init__(self, settings: Settings, load: LoadTagger | None) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, _NAME, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # Away from the terminal: what it interrupts, the supervisor passes on.
                start_new_session=True,
                env=_environment(),
            )
        except OSError as error:
            self.pipe.close()
            raise NerstreamError(
                f"the process that loads the model cannot be started ({error}); allow more "
                "processes"
            ) from error
        finally:
            # With the other end open here too, this one would never see the process end.
            theirs.close()
        self.pipe.send_bytes(pickle.dumps((settings.log_format, settings.log_level, load)))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def look(self, device: str) -> None:
        """Ask for the kind of device."""
        self._send(Look(device))

    def load(self, settings: Settings, is_shared: bool) -> None:
        """Have it load what the workers share."""
        self._send(Load(settings, is_shared))

    def fork(self, number: int, settings: Settings) -> Connection:
        """Have it make a worker; the pipe to that one."""
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            self._send(Fork(number, settings))
            # One that has ended is told by its pipe.
            with contextlib.suppress(OSError):
                reduction.send_handle(self.pipe, theirs.fileno(), self.pid)
        return ours

    def hear(self) -> FromTemplate | None:
        """The next answer, if one has come.

        Raises:
            EOFError: the template has ended.
        """
        try:
            answer: FromTemplate | None = self.pipe.recv() if self.pipe.poll() else None
        except OSError as gone:
            raise EOFError from gone
        return answer

    def close(self) -> None:
        """Let it end; one that does not is killed."""
        self.pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: ToTemplate) -> None:
        with contextlib.suppress(OSError):  # as above
            self.pipe.send(message)


def _environment() -> dict[str, str]:
    """That of a new interpreter that finds what this one finds."""
    path = os.pathsep.join(os.path.abspath(one) for one in sys.path)  # noqa: PTH100
    # The threads of that library would be none of a worker's.
    return {"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path}
